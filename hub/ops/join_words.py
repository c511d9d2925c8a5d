"""The words of a plan or a report of a join, in the three languages."""

from __future__ import annotations

from collections.abc import Mapping

# Word → language → text. Codes of rules and reasons are words like the others.
WORDS: Mapping[str, Mapping[str, str]] = {
    "plan": {
        "ar": "خطة ربط {agency}: ما الذي سيترتب عنه",
        "fr": "Plan de raccordement de {agency} : ce qui en résulterait",
        "en": "Plan of the join of {agency}: what would come of it",
    },
    "plan_at": {
        "ar": "بتاريخ {at}. لم يُكتب شيء، لا في قاعدة المؤسسة ولا في المنصة.",
        "fr": "Au {at}. Rien n'a été écrit, ni chez l'organisme ni dans la plateforme.",
        "en": "As of {at}. Nothing was written, neither at the agency nor at the hub.",
    },
    "report": {
        "ar": "تقرير ربط {agency}: ما الذي ترتب عنه",
        "fr": "Bilan du raccordement de {agency} : ce qui en a résulté",
        "en": "Report on the join of {agency}: what came of it",
    },
    "report_at": {
        "ar": "بتاريخ {at}، من مخزن المنصة.",
        "fr": "Au {at}, d'après la plateforme.",
        "en": "As of {at}, from the hub's store.",
    },
    "report_held": {
        "ar": "عُلِّق {overwriting} ملفًا في انتظار قرار شخص (الحد {limit}، وللمؤسسة {live} ملفًا حيًا).",
        "fr": "{overwriting} dossiers sont retenus jusqu'à la décision d'une personne (limite {limit}, "
        "{live} dossiers vivants).",
        "en": "{overwriting} records are held until a person decides ({limit} would have passed, of {live} "
        "live records).",
    },
    "report_passes": {
        "ar": "لا شيء معلَّق (الحد {limit}، وللمؤسسة {live} ملفًا حيًا).",
        "fr": "Rien n'est retenu (limite {limit}, {live} dossiers vivants).",
        "en": "Nothing is held ({limit} may pass, of {live} live records).",
    },
    "report_waiting": {
        "ar": "إحالات تنتظر",
        "fr": "Références en attente",
        "en": "References that wait",
    },
    "report_here": {
        "ar": "ما تقوله المنصة بخلاف صفوف المؤسسة ({rows} صفوف)",
        "fr": "Ce que la plateforme dit autrement que les dossiers de l'organisme ({rows} lignes)",
        "en": "What the hub says otherwise than the agency's own records ({rows} rows)",
    },
    "report_elsewhere": {
        "ar": "ما لدى المؤسسات الأخرى بقول هذه المؤسسة",
        "fr": "Ce que les autres organismes détiennent sur la parole de celui-ci",
        "en": "What other agencies hold on this agency's word",
    },
    "sampled": {
        "ar": "لم تُقرأ إلا الصفوف الأولى ({types}): الأعداد تخصها وحدها. استعمل --limit لقراءة المزيد.",
        "fr": "Seules les premières lignes ont été lues ({types}) : les nombres ne portent que sur "
        "celles-ci ; --limit en lit davantage.",
        "en": "Only the first rows were read ({types}): the numbers are of these alone; --limit reads more.",
    },
    "covered": {
        "ar": "المعرّفات والقيم الشخصية محجوبة.",
        "fr": "Les identifiants et les valeurs personnelles sont masqués.",
        "en": "Keys and personal values are covered.",
    },
    "records": {"ar": "الملفات", "fr": "Dossiers", "en": "Records"},
    "number": {"ar": "العدد", "fr": "Nombre", "en": "Number"},
    "rows": {"ar": "ملفات مقروءة", "fr": "dossiers lus", "en": "records read"},
    "known": {"ar": "مربوطة من قبل", "fr": "déjà rattachés", "en": "already linked"},
    "matched": {"ar": "مطابِقة لملف معروف", "fr": "rattachés à une entité", "en": "match an entity"},
    "new": {"ar": "جديدة", "fr": "nouveaux", "en": "new"},
    "duplicates": {
        "ar": "مكررة داخل المؤسسة",
        "fr": "doublons au sein de l'organisme",
        "en": "duplicates within the agency",
    },
    "uncertain": {"ar": "غير مؤكدة: تحتاج إلى مراجعة", "fr": "incertains : à examiner", "en": "uncertain"},
    "refused": {"ar": "لا يمكن قراءتها", "fr": "illisibles", "en": "cannot be read"},
    "silent": {
        "ar": "أنشأتها المنصة ولا تفيد شيئًا من عندها",
        "fr": "créés par la plateforme, sans rien à dire",
        "en": "made by the hub, say nothing themselves",
    },
    "merged": {
        "ar": "كيانات لدى مؤسسات أخرى ستُضم إلى غيرها",
        "fr": "entités d'autres organismes qui n'en feraient plus qu'une",
        "en": "entities of others that become part of another",
    },
    "unread": {
        "ar": "قيم لا يمكن قراءتها (تُرسل بقية الملف)",
        "fr": "Valeurs illisibles (le reste du dossier est envoyé)",
        "en": "Values that cannot be read (the rest of the record is sent)",
    },
    "unusable": {
        "ar": "ملفات لا يمكن قراءتها",
        "fr": "Dossiers illisibles",
        "en": "Records that cannot be read",
    },
    "reviews": {
        "ar": "ما يجب أن يراجعه شخص",
        "fr": "À examiner par une personne",
        "en": "For a person to look at",
    },
    "plan_waiting": {
        "ar": "إحالات ستنتظر",
        "fr": "Références qui attendraient",
        "en": "References that would wait",
    },
    "plan_here": {
        "ar": "ما سيتغير في صفوف المؤسسة نفسها ({rows} صفوف)",
        "fr": "Ce qui changerait dans les dossiers de l'organisme ({rows} lignes)",
        "en": "What would change in the agency's own records ({rows} rows)",
    },
    "here_refused": {
        "ar": "قيم لا تسعها أعمدة المؤسسة",
        "fr": "Valeurs que les colonnes de l'organisme ne peuvent contenir",
        "en": "Values that the agency's columns cannot hold",
    },
    "plan_elsewhere": {
        "ar": "ما سيتغير لدى المؤسسات الأخرى",
        "fr": "Ce qui changerait dans les autres organismes",
        "en": "What would change at other agencies",
    },
    "agency": {"ar": "المؤسسة", "fr": "Organisme", "en": "Agency"},
    "field": {"ar": "الحقل", "fr": "Champ", "en": "Field"},
    "column": {"ar": "العمود", "fr": "Colonne", "en": "Column"},
    "reason": {"ar": "السبب", "fr": "Raison", "en": "Reason"},
    "rule": {"ar": "القاعدة", "fr": "Règle", "en": "Rule"},
    "examples": {"ar": "أمثلة", "fr": "Exemples", "en": "Examples"},
    "filled": {"ar": "تُملأ", "fr": "remplies", "en": "filled"},
    "replaced": {"ar": "تُستبدل", "fr": "remplacées", "en": "replaced"},
    "emptied": {"ar": "تُفرغ", "fr": "vidées", "en": "emptied"},
    "created": {"ar": "ملفات جديدة", "fr": "nouveaux dossiers", "en": "new records"},
    "ended": {"ar": "ملفات تُسحب", "fr": "dossiers retirés", "en": "records taken back"},
    "nothing": {"ar": "لا شيء", "fr": "rien", "en": "nothing"},
    "plan_held": {
        "ar": "ستُعلَّق: {overwriting} ملفًا تحل محل قيم غيرها، والحد {limit} (للمؤسسة {live} ملفًا حيًا). "
        "ما أعلاه هو ما يحصل بعد أن يفرج عنها شخص.",
        "fr": "Serait retenu : {overwriting} dossiers remplaceraient des valeurs d'autres, la limite est de "
        "{limit} ({live} dossiers vivants). Ce qui précède vaut une fois libéré par une personne.",
        "en": "Would be held: {overwriting} records put others' values aside, {limit} may ({live} live "
        "records). What stands above is what comes once a person has released it.",
    },
    "plan_passes": {
        "ar": "لن تُعلَّق: {overwriting} ملفًا تحل محل قيم غيرها، والحد {limit}.",
        "fr": "Ne serait pas retenu : {overwriting} dossiers remplaceraient des valeurs d'autres, "
        "la limite est de {limit}.",
        "en": "Would not be held: {overwriting} records put others' values aside, {limit} may.",
    },
    # Rules of identity
    "identifier_and_birth_date": {
        "ar": "معرّف وتاريخ الميلاد",
        "fr": "identifiant et date de naissance",
        "en": "identifier and birth date",
    },
    "identifier_and_name": {"ar": "معرّف والاسم", "fr": "identifiant et nom", "en": "identifier and name"},
    "natural_key": {"ar": "المفتاح الطبيعي", "fr": "clé naturelle", "en": "natural key"},
    "created_for": {
        "ar": "أُنشئ من أجله",
        "fr": "créé pour l'entité",
        "en": "was created for the entity",
    },
    "through_others": {
        "ar": "عبر ملف آخر أو قرار",
        "fr": "par un autre dossier ou une décision",
        "en": "through another record or a decision",
    },
    # Why a person must look
    "contradiction": {"ar": "تناقض", "fr": "contradiction", "en": "contradiction"},
    "identifier_alone": {"ar": "معرّف وحده", "fr": "identifiant seul", "en": "identifier alone"},
    "too_many_share": {
        "ar": "معرّف مشترك بين كثيرين",
        "fr": "identifiant trop partagé",
        "en": "too many share",
    },
    "identifier_changed": {"ar": "تغيّر المعرّف", "fr": "identifiant changé", "en": "identifier changed"},
    # Why a reference waits
    "beyond": {
        "ar": "الصف غير مقروء في هذه العينة",
        "fr": "la ligne n'est pas parmi celles lues",
        "en": "its row is not among those read",
    },
    "nowhere": {"ar": "لا صف بهذا المعرّف", "fr": "aucune ligne de ce nom", "en": "there is no such row"},
    # Why a value gives way
    "gap": {"ar": "لم تكن هناك قيمة", "fr": "aucune valeur n'était dite", "en": "nothing was said"},
    "older": {"ar": "قيمة أحدث", "fr": "plus récente", "en": "said later"},
    "outranked": {"ar": "صلاحية أعلى", "fr": "autorité supérieure", "en": "higher authority"},
    "no_authority": {"ar": "لا صلاحية", "fr": "aucune autorité", "en": "no authority"},
    "immutable": {"ar": "القيمة الأولى تبقى", "fr": "la première reste", "en": "the first stays"},
    "max": {"ar": "القيمة الأعلى", "fr": "la plus élevée", "en": "the highest stands"},
    "tie": {"ar": "تعادل محسوم بالترتيب", "fr": "égalité tranchée par l'ordre", "en": "tie, by order"},
    "union": {"ar": "عناصر مجمّعة", "fr": "éléments réunis", "en": "elements of all"},
    "identity": {"ar": "تغيّر من هو من", "fr": "identité revue", "en": "who is who changed"},
    "entitled": {
        "ar": "تغيّر ما يحق لها الاطلاع عليه",
        "fr": "ce qu'il peut connaître a changé",
        "en": "what it may know changed",
    },
    "unreadable": {
        "ar": "القيمة الحالية غير مقروءة",
        "fr": "valeur actuelle illisible",
        "en": "unreadable now",
    },
    # What is wrong with a value
    "unknown_code": {"ar": "رمز غير معروف", "fr": "code inconnu", "en": "unknown code"},
    "bad_value": {"ar": "قيمة غير مقبولة", "fr": "valeur non admise", "en": "not an allowed value"},
    "invalid_value": {"ar": "قيمة غير مقبولة", "fr": "valeur non admise", "en": "not an allowed value"},
    "too_long": {"ar": "أطول من العمود", "fr": "trop longue", "en": "too long"},
    "not_null": {"ar": "لا يجوز أن تكون فارغة", "fr": "ne peut être vide", "en": "may not be empty"},
}


def word(name: str, language: str, **values: object) -> str:
    """A word in a language; a code that has none stands for itself."""
    texts = WORDS.get(name)
    return texts[language].format(**values) if texts else name
