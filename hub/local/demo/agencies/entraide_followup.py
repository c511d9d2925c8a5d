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

PROJECT_KINDS = {
    "self_employment": "عمل مستقل",
    "salaried": "عمل مأجور",
    "cooperative": "تعاونية",
    "training": "تكوين",
}
PROJECT_SECTORS = {
    "agriculture": "فلاحة",
    "fishing": "صيد",
    "crafts": "صناعة تقليدية",
    "trade": "تجارة",
    "tourism": "سياحة",
    "personal_services": "خدمات",
    "building": "بناء",
    "digital": "رقمنة",
}
PROJECT_STATES = {
    "idea": "فكرة",
    "study": "دراسة",
    "submitted": "مودع",
    "funded": "ممول",
    "running": "منطلق",
    "abandoned": "متروك",
}
SUPPORT_PLAN_STATES = {
    "draft": "مشروع",
    "agreed": "متفق عليها",
    "under_way": "قيد التنفيذ",
    "achieved": "محققة",
    "interrupted": "متوقفة",
}
PATHWAY_STEPS = {
    "received": "استقبال",
    "listened_to": "استماع",
    "diagnosed": "تشخيص",
    "oriented": "توجيه",
    "integrated": "إدماج",
    "left": "مغادرة",
}
PATHWAY_ORIENTATIONS = {
    "schooling": "تمدرس",
    "training": "تكوين",
    "employment": "شغل",
    "entrepreneurship": "مقاولة",
    "social_support": "مواكبة",
}
PATHWAY_INTEGRATIONS = {
    "job": "عمل مأجور",
    "own_activity": "نشاط خاص",
    "cooperative": "تعاونية",
    "school": "مدرسة",
    "further_training": "تكوين لاحق",
    "family": "أسرة",
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
    Table(
        record_type="project",
        name="المشاريع",
        key="المعرف",
        new_key="nextval(pg_get_serial_sequence('\"المشاريع\"', 'المعرف'))",
        columns=(
            plain("رقم_المشروع", "number"),
            plain("العنوان", "title_ar"),
            plain("العنوان_بالفرنسية", "title_fr"),
            coded("الصنف", "kind", PROJECT_KINDS),
            coded("القطاع", "sector", PROJECT_SECTORS),
            coded("الحالة", "state", PROJECT_STATES),
            plain("التمويل_المطلوب", "funding_asked"),
            plain("التمويل_الممنوح", "funding_granted"),
            plain("تاريخ_المنح", "granted_on"),
            plain("تاريخ_الانطلاق", "started_on"),
        ),
        references={"person": "المستفيد", "centre": "المركز"},
    ),
    Table(
        record_type="support_plan",
        name="خطط_المواكبة",
        key="المعرف",
        new_key="nextval(pg_get_serial_sequence('\"خطط_المواكبة\"', 'المعرف'))",
        columns=(
            listed("الأهداف", "goals"),
            coded("صفة_المواكب", "referent_role", ROLES),
            coded("الحالة", "state", SUPPORT_PLAN_STATES),
            plain("تاريخ_الاتفاق", "agreed_on"),
            plain("آخر_مراجعة", "last_review_on"),
            plain("المراجعة_المقبلة", "next_review_on"),
            plain("تاريخ_الانتهاء", "closed_on"),
        ),
        references={"person": "المستفيد", "centre": "المركز", "assessment": "التقييم"},
    ),
    Table(
        record_type="pathway",
        name="المسارات",
        key="المعرف",
        new_key="nextval(pg_get_serial_sequence('\"المسارات\"', 'المعرف'))",
        columns=(
            coded("المرحلة", "step", PATHWAY_STEPS),
            plain("تاريخ_الاستقبال", "received_on"),
            plain("تاريخ_الاستماع", "listened_on"),
            plain("تاريخ_التشخيص", "diagnosed_on"),
            plain("تاريخ_التوجيه", "oriented_on"),
            coded("الوجهة", "orientation", PATHWAY_ORIENTATIONS),
            plain("تاريخ_الإدماج", "integrated_on"),
            coded("شكل_الإدماج", "integration", PATHWAY_INTEGRATIONS),
            plain("تاريخ_المغادرة", "left_on"),
        ),
        references={"person": "المستفيد", "centre": "المركز"},
    ),
)
