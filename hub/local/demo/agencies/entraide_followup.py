"""What Entraide Nationale keeps of its work with people: see `entraide.sql`."""

from __future__ import annotations

from hub.local.demo.agencies.tables import Table, coded, listed, plain

REFERRAL_REASONS = {
    "health_care": "علاج",
    "psychological_support": "دعم نفسي",
    "violence": "عنف",
    "child_protection": "حماية طفولة",
    "disability": "إعاقة",
    "legal_aid": "مساعدة قانونية",
    "civil_papers": "وثائق",
    "housing": "سكن",
    "schooling": "تمدرس",
    "training": "تكوين",
    "employment": "شغل",
    "financing": "تمويل",
}
REFERRAL_URGENCIES = {
    "normal": "عادية",
    "urgent": "مستعجلة",
    "immediate": "فورية",
}
REFERRAL_STATES = {
    "proposed": "مقترحة",
    "sent": "مرسلة",
    "accepted": "مقبولة",
    "declined": "مرفوضة",
    "under_way": "جارية",
    "completed": "منجزة",
    "withdrawn": "ملغاة",
}
ROLES = {
    "social_worker": "مساعد اجتماعي",
    "psychologist": "أخصائي نفسي",
    "educator": "مرب",
    "job_counsellor": "مستشار تشغيل",
    "physician": "طبيب",
    "centre_director": "مدير",
}
LEVELS = {
    "critical": "حرج",
    "fragile": "هش",
    "stable": "مستقر",
    "autonomous": "مستقل",
}

MODULE_RESULT_OUTCOMES = {
    "in_progress": "جارية",
    "passed": "ناجح",
    "failed": "راسب",
    "attended": "حضور",
    "dropped_out": "منقطع",
}

TABLES = (
    Table(
        record_type="referral",
        name="الإحالات",
        key="المعرف",
        new_key="nextval(pg_get_serial_sequence('\"الإحالات\"', 'المعرف'))",
        columns=(
            plain("رقم_الإحالة", "number"),
            coded("السبب", "reason", REFERRAL_REASONS),
            coded("الاستعجال", "urgency", REFERRAL_URGENCIES),
            coded("الحالة", "state", REFERRAL_STATES),
            plain("تاريخ_الإحالة", "issued_on"),
            plain("تاريخ_الجواب", "answered_on"),
            plain("تاريخ_الانتهاء", "closed_on"),
        ),
        references={
            "person": "المستفيد",
            "from_centre": "من_مركز",
            "to_centre": "إلى_مركز",
            "to_service": "إلى_خدمة",
            "to_association": "إلى_جمعية",
        },
        targets={
            "from_centre": "centre",
            "to_centre": "centre",
            "to_service": "service",
            "to_association": "association",
        },
    ),
    Table(
        record_type="assessment",
        name="التقييمات",
        key="المعرف",
        new_key="nextval(pg_get_serial_sequence('\"التقييمات\"', 'المعرف'))",
        columns=(
            plain("تاريخ_التقييم", "assessed_on"),
            coded("صفة_المقيم", "assessor_role", ROLES),
            coded("السكن", "housing", LEVELS),
            coded("الدخل", "income", LEVELS),
            coded("التمدرس", "education", LEVELS),
            coded("التشغيل", "employability", LEVELS),
            coded("الأسرة", "family", LEVELS),
            coded("الصحة", "health", LEVELS),
            listed("الهشاشة", "vulnerabilities"),
            plain("تاريخ_الإعادة", "review_on"),
        ),
        references={"person": "المستفيد", "centre": "المركز"},
    ),
    Table(
        record_type="module_result",
        name="نتائج_الوحدات",
        key="المعرف",
        new_key="nextval(pg_get_serial_sequence('\"نتائج_الوحدات\"', 'المعرف'))",
        columns=(
            plain("بداية_الدورة", "session_from"),
            plain("نهاية_الدورة", "session_to"),
            plain("الحضور", "attendance"),
            coded("الحصيلة", "outcome", MODULE_RESULT_OUTCOMES),
            plain("رقم_الشهادة", "certificate_number"),
            plain("تاريخ_الشهادة", "certified_on"),
        ),
        references={"person": "المستفيد", "module": "الوحدة"},
    ),
)
