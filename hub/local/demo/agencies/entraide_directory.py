"""What Entraide Nationale keeps of partners and offers: see `entraide.sql`."""

from __future__ import annotations

from hub.local.demo.agencies.tables import Table, coded, listed, plain

ASSOCIATION_STANDINGS = {
    "declared": "مصرح بها",
    "public_utility": "منفعة عامة",
    "social_protection": "رعاية اجتماعية",
}
ASSOCIATION_STATUSES = {
    "active": "نشيطة",
    "suspended": "موقوفة",
    "dissolved": "منحلة",
}
SERVICE_SECTORS = {
    "health": "صحة",
    "social": "اجتماعي",
    "education": "تربية",
    "training": "تكوين",
    "employment": "تشغيل",
    "legal": "قانوني",
    "civil_status": "حالة مدنية",
    "housing": "سكن",
    "financing": "تمويل",
}
SERVICE_STATUSES = {
    "open": "متاحة",
    "suspended": "معلقة",
    "closed": "متوقفة",
}

MODULE_KINDS = {
    "certifying": "إشهادية",
    "workshop": "ورشة",
}
MODULE_SUBJECTS = {
    "literacy": "محو الأمية",
    "life_skills": "مهارات حياتية",
    "french": "فرنسية",
    "digital": "رقمنة",
    "financial_education": "تربية مالية",
    "sewing": "خياطة",
    "weaving": "نسيج",
    "cooking": "طبخ",
    "hairdressing": "حلاقة",
    "childcare": "رعاية أطفال",
    "elderly_care": "رعاية مسنين",
    "fish_processing": "منتجات البحر",
    "business_plan": "مخطط أعمال",
    "cooperative_management": "تدبير تعاونيات",
    "job_search": "بحث عن شغل",
}
MODULE_CERTIFIERS = {
    "entraide": "التعاون الوطني",
    "vocational_training": "تكوين مهني",
    "crafts": "صناعة تقليدية",
    "education": "تربية وطنية",
}
MODULE_STATUSES = {
    "planned": "مبرمجة",
    "open": "مفتوحة",
    "full": "مكتملة",
    "closed": "مغلقة",
}

TABLES = (
    Table(
        record_type="association",
        name="الجمعيات",
        key="المعرف",
        new_key="nextval(pg_get_serial_sequence('\"الجمعيات\"', 'المعرف'))",
        columns=(
            plain("الرمز_الوطني", "code"),
            plain("الاسم", "name_ar"),
            plain("الاسم_بالفرنسية", "name_fr"),
            coded("الوضعية", "standing", ASSOCIATION_STANDINGS),
            listed("المجالات", "domains"),
            plain("الجماعة", "commune"),
            plain("الهاتف", "phone"),
            coded("الحالة", "status", ASSOCIATION_STATUSES),
            plain("الشراكة_إلى", "partner_until"),
        ),
    ),
    Table(
        record_type="service",
        name="الخدمات",
        key="المعرف",
        new_key="nextval(pg_get_serial_sequence('\"الخدمات\"', 'المعرف'))",
        columns=(
            plain("الرمز_الوطني", "code"),
            plain("الاسم", "name_ar"),
            plain("الاسم_بالفرنسية", "name_fr"),
            coded("القطاع", "sector", SERVICE_SECTORS),
            listed("الفئات", "audience"),
            plain("الجماعة", "commune"),
            plain("الهاتف", "phone"),
            coded("الحالة", "status", SERVICE_STATUSES),
        ),
        references={"centre": "المركز", "association": "الجمعية"},
    ),
    Table(
        record_type="module",
        name="الوحدات",
        key="المعرف",
        new_key="nextval(pg_get_serial_sequence('\"الوحدات\"', 'المعرف'))",
        columns=(
            plain("الرمز_الوطني", "code"),
            plain("العنوان", "title_ar"),
            plain("العنوان_بالفرنسية", "title_fr"),
            coded("الصنف", "kind", MODULE_KINDS),
            coded("المادة", "subject", MODULE_SUBJECTS),
            coded("الجهة_المانحة", "certified_by", MODULE_CERTIFIERS),
            plain("الساعات", "hours"),
            plain("المقاعد", "places"),
            coded("الحالة", "status", MODULE_STATUSES),
        ),
        references={"centre": "المركز"},
    ),
)
