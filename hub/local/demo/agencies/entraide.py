"""How Entraide Nationale writes its records: see `entraide.sql`."""

from __future__ import annotations

from hub.local.demo.agencies.tables import Table, coded, day, listed, plain

KINDS = {
    "social_centre": "جسر",
    "womens_club": "نادي نسوي",
    "multidisciplinary_complex": "مركب",
    "womens_multifunction_space": "فضاء متعدد",
    "anti_begging_centre": "حماية من التسول",
    "child_protection_centre": "حماية الطفولة",
    "education_training_centre": "تربية وتكوين",
    "apprenticeship_centre": "تدرج مهني",
    "disability_orientation_centre": "توجيه ومساعدة",
    "elderly_centre": "مسنون",
}
SEXES = {"female": "أ", "male": "ذ"}
EDUCATION_LEVELS = {
    "none": "بدون",
    "preschool": "أولي",
    "primary": "ابتدائي",
    "lower_secondary": "إعدادي",
    "upper_secondary": "تأهيلي",
    "vocational": "مهني",
    "higher": "عالي",
}
DISABILITIES = {
    "none": "بدون",
    "motor": "حركية",
    "visual": "بصرية",
    "hearing": "سمعية",
    "intellectual": "ذهنية",
    "psychosocial": "نفسية",
    "multiple": "متعددة",
}
PATHWAYS = {
    "reception": "استقبال",
    "listening": "استماع",
    "diagnosis": "تشخيص",
    "orientation": "توجيه",
    "training": "تكوين",
    "employment": "تشغيل",
    "entrepreneurship": "مقاولة",
    "social_support": "مواكبة",
}
ENROLMENT_STATUSES = {
    "planned": "مبرمج",
    "active": "جار",
    "suspended": "معلق",
    "completed": "مكتمل",
    "abandoned": "متخلى عنه",
}
PURPOSES = {
    "social-integration": "إدماج اجتماعي",
    "professional-integration": "إدماج مهني",
    "health-followup": "تتبع صحي",
    "statistics": "إحصاء",
}
CONSENT_STATUSES = {"given": "ممنوحة", "withdrawn": "مسحوبة"}

TABLES = (
    Table(
        record_type="centre",
        name="المراكز",
        key="الرمز_المحلي",
        new_key="'ت-' || to_char(nextval('\"تسلسل_المراكز\"'), 'FM999000')",
        columns=(
            plain("الرمز_الوطني", "code"),
            plain("الاسم", "name_ar"),
            plain("الاسم_بالفرنسية", "name_fr"),
            coded("الصنف", "kind", KINDS),
            plain("الجماعة", "commune"),
            plain("الطاقة", "capacity"),
            plain("الهاتف", "phone"),
            plain("تاريخ_الافتتاح", "opened_on"),
        ),
    ),
    Table(
        record_type="person",
        name="المستفيدون",
        key="رقم_الملف",
        new_key="nextval(pg_get_serial_sequence('\"المستفيدون\"', 'رقم_الملف'))",
        columns=(
            plain("رقم_البطاقة", "cin"),
            plain("رمز_مسار", "massar_code"),
            plain("الاسم_العائلي", "family_name_ar"),
            plain("الاسم_الشخصي", "given_name_ar"),
            plain("الاسم_العائلي_لاتيني", "family_name_fr"),
            plain("الاسم_الشخصي_لاتيني", "given_name_fr"),
            day("تاريخ_الازدياد", "birth_date", "%d/%m/%Y"),
            coded("الجنس", "sex", SEXES),
            plain("الجماعة", "commune"),
            plain("الهاتف", "phone"),
            coded("المستوى", "education_level", EDUCATION_LEVELS),
            coded("الإعاقة", "disability", DISABILITIES),
            listed("اللغات", "languages"),
            plain("تاريخ_الاستقبال", "received_on"),
        ),
    ),
    Table(
        record_type="enrolment",
        name="التسجيلات",
        key="المعرف",
        new_key="nextval(pg_get_serial_sequence('\"التسجيلات\"', 'المعرف'))",
        columns=(
            plain("رقم_التسجيل", "number"),
            coded("المسار", "pathway", PATHWAYS),
            coded("الحالة", "status", ENROLMENT_STATUSES),
            plain("تاريخ_البداية", "started_on"),
            plain("تاريخ_النهاية", "ended_on"),
            listed("الوحدات", "modules"),
        ),
        references={"person": "المستفيد", "centre": "المركز"},
    ),
    Table(
        record_type="consent",
        name="الموافقات",
        key="المعرف",
        new_key="nextval(pg_get_serial_sequence('\"الموافقات\"', 'المعرف'))",
        columns=(
            coded("الغرض", "purpose", PURPOSES),
            listed("الجهات", "recipients"),
            coded("الحالة", "status", CONSENT_STATUSES),
            plain("تاريخ_المنح", "given_on"),
            plain("صالحة_إلى", "valid_until"),
        ),
        references={"person": "المستفيد"},
    ),
)
