"""Notices in the three languages: why an edit was answered, what was held, what was found twice."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from hub.contracts.records import LANGUAGES, RecordType

_STOP = re.compile(r"\.(?:\s|$)|[؛;]")

# The reason of a message that could not be used, where there is no closer one.
REFUSED = "refused"

# Reason → what the agency's staff read. `{fields}` are the fields' names in that language.
TEXTS: Mapping[str, Mapping[str, str]] = {
    "no_authority": {
        "ar": "لم يؤخذ بالتعديل: لا صلاحية لمؤسستكم في {fields}، وأعيدت القيمة المعتمدة.",
        "fr": "Modification non retenue : votre organisme ne fait pas autorité pour {fields} ; "
        "la valeur de référence a été remise.",
        "en": "Edit not taken: your agency has no authority over {fields}; the agreed value was put back.",
    },
    "outranked": {
        "ar": "لم يؤخذ بالتعديل: مؤسسة ذات أولوية سبق أن حددت {fields}.",
        "fr": "Modification non retenue : un organisme prioritaire a déjà renseigné {fields}.",
        "en": "Edit not taken: an agency with higher authority has already given {fields}.",
    },
    "older": {
        "ar": "لم يؤخذ بالتعديل: توجد قيمة أحدث لـ {fields}.",
        "fr": "Modification non retenue : une valeur plus récente existe pour {fields}.",
        "en": "Edit not taken: there is a newer value for {fields}.",
    },
    "deleted": {
        "ar": "لم يؤخذ بتعديل {fields}: حذفت مؤسسة أخرى هذا الملف.",
        "fr": "Modification de {fields} non retenue : un autre organisme a supprimé ce dossier.",
        "en": "Edit of {fields} not taken: another agency has deleted this record.",
    },
    "immutable": {
        "ar": "لم يؤخذ بالتعديل: القيمة الأولى لـ {fields} لا تتغير.",
        "fr": "Modification non retenue : la première valeur de {fields} ne change plus.",
        "en": "Edit not taken: the first value of {fields} stays.",
    },
    "max": {
        "ar": "لم يؤخذ بالتعديل: توجد قيمة أعلى لـ {fields}.",
        "fr": "Modification non retenue : une valeur plus élevée existe pour {fields}.",
        "en": "Edit not taken: there is a higher value for {fields}.",
    },
    "not_permitted": {
        "ar": "لم يرسل التعديل: الاتفاقية لا تشمل نشر {fields}.",
        "fr": "Modification non transmise : la convention ne prévoit pas que vous publiiez {fields}.",
        "en": "Edit not passed on: your agreement does not cover publishing {fields}.",
    },
    "stale_form": {
        "ar": "حُفظت استمارة قديمة: علِّقت القيمة السابقة لـ {fields} وأعيدت القيمة الحالية.",
        "fr": "Un formulaire périmé a été enregistré : l'ancienne valeur de {fields} est mise en attente, "
        "la valeur actuelle a été remise.",
        "en": "An outdated form was saved: the old value of {fields} is held, the current one put back.",
    },
    "identifier_changed": {
        "ar": "علِّق التعديل: تغيّر معرّف قوي ({fields})، وقد يكون الملف لشخص آخر.",
        "fr": "Modification en attente : un identifiant fort a changé ({fields}) ; il s'agit peut-être "
        "d'une autre personne.",
        "en": "Edit held: a strong identifier changed ({fields}); this may be another person's record.",
    },
    "echo": {
        "ar": "{fields}: كرر ما أُرسل قيمة كانت المنصة قد أبلغتكم بها ثم تغيّرت؛ أُعيدت القيمة الحالية. "
        "من أراد القيمة السابقة فعلا فليُدخلها من جديد بعد ربع ساعة.",
        "fr": "{fields} : l'envoi répétait une valeur que la plateforme vous avait transmise et qui a changé "
        "depuis ; la valeur actuelle est remise. Si l'ancienne est voulue, saisissez-la de nouveau dans un "
        "quart d'heure.",
        "en": "{fields}: what was sent repeats a value that the hub had told you and that has changed since; "
        "the current value is put back. If the former is meant, enter it again in a quarter of an hour.",
    },
    "mass_delete": {
        "ar": "حُذف عدد كبير من الملفات دفعة واحدة: علِّق الحذف إلى أن يبتّ فيه شخص.",
        "fr": "Un grand nombre de dossiers ont été supprimés d'un coup : ces suppressions sont en attente "
        "d'une décision humaine.",
        "en": "Many records were deleted at once: the deletions are held until a person decides.",
    },
    "mass_update": {
        "ar": "عُدّل عدد كبير من الملفات دفعة واحدة: علِّقت التعديلات إلى أن يبتّ فيها شخص.",
        "fr": "Un grand nombre de dossiers ont été modifiés d'un coup : ces modifications sont en attente "
        "d'une décision humaine.",
        "en": "Many records were changed at once: the changes are held until a person decides.",
    },
    "mass_join": {
        "ar": "كانت ملفاتكم عند انضمامها ستُغيّر قيما كثيرة لدى مؤسسات أخرى: "
        "علِّقت هذه القيم إلى أن يبتّ فيها شخص.",
        "fr": "À leur arrivée, vos dossiers auraient changé de nombreuses valeurs dans d'autres organismes : "
        "ces valeurs sont en attente d'une décision humaine.",
        "en": "On joining, your records would have changed many values at other agencies: those values are "
        "held until a person decides.",
    },
    "mass_lost": {
        "ar": "ملفات كنتم قد أدخلتموها غير موجودة في قاعدة بياناتكم بعد استرجاعها: "
        "تُحفظ لدى المنصة إلى أن يبتّ شخص في إعادة إنشائها.",
        "fr": "Des dossiers que vous aviez saisis manquent dans votre base de données, restaurée depuis : "
        "la plateforme les garde jusqu'à ce qu'une personne décide s'ils sont recréés.",
        "en": "Records that you had entered are missing from your database after it was restored: the hub "
        "keeps them until a person decides whether they are made again.",
    },
    "lost_remade": {
        "ar": "ملفات كنتم قد أدخلتموها كانت غائبة عن قاعدة بياناتكم بعد استرجاعها: "
        "تُعاد الآن بأرقام جديدة. تحققوا مما كُتب على الورق بالأرقام القديمة.",
        "fr": "Des dossiers que vous aviez saisis manquaient dans votre base de données, restaurée depuis : "
        "ils sont recréés sous de nouveaux numéros. Vérifiez ce qui porte les anciens numéros sur papier.",
        "en": "Records that you had entered were missing from your database after it was restored: they are "
        "made again under new numbers. Check what bears the old numbers on paper.",
    },
    "mass_rejected": {
        "ar": "رُفضت دفعة كبيرة من التعديلات أو الحذف كانت معلقة، وأعيدت القيم الحالية.",
        "fr": "Un lot de modifications ou de suppressions en attente a été refusé ; les valeurs actuelles "
        "sont remises.",
        "en": "A mass of changes or deletions that was held has been rejected; the current values are put "
        "back.",
    },
    "duplicate": {
        "ar": "لديكم ملف آخر للشخص نفسه؛ لن يُحدَّث هذا الملف.",
        "fr": "Vous avez un autre dossier pour la même personne ; celui-ci n'est plus mis à jour.",
        "en": "You hold another record of the same person; this one is no longer updated.",
    },
    "disputed": {
        "ar": "خلاف حول {fields}: توقفت المنصة عن تغيير القيمة إلى أن يُبَتَّ فيها.",
        "fr": "Désaccord sur {fields} : la plateforme ne modifie plus la valeur jusqu'à décision.",
        "en": "Dispute over {fields}: the hub no longer rewrites the value until it is settled.",
    },
    "incarnation_ended": {
        "ar": "هذا الملف محذوف؛ يجب رفع رقم الدورة لإعادة استعمال معرّفه.",
        "fr": "Ce dossier a été supprimé ; pour réutiliser son identifiant, augmentez l'incarnation.",
        "en": "This record was deleted; to use its id again, raise the incarnation.",
    },
    "refused": {
        "ar": "لم يصل ما أُدخل إلى المؤسسات الأخرى: لم تتمكن المنصة من قراءته. أُبلغ القائمون على الربط.",
        "fr": "Ce qui a été saisi n'est pas parvenu aux autres organismes : la plateforme n'a pas pu le "
        "lire. Les responsables du raccordement en sont informés.",
        "en": "What was entered has not reached the other agencies: the hub could not read it. "
        "Those who run the connection have been told.",
    },
}


def text(reason: str, record: RecordType, fields: Sequence[str]) -> dict[str, str]:
    """The notice in every language; a field is named by its contract's text up to the first stop."""
    return {
        language: TEXTS[reason][language].format(
            fields=_separator(language).join(label(record, name, language) for name in fields)
        )
        for language in LANGUAGES
    }


def _separator(language: str) -> str:
    return "، " if language == "ar" else ", "


def label(record: RecordType, name: str, language: str) -> str:
    """A field's name for people: its contract's text up to the first stop, else the name."""
    spec = record.by_name.get(name)
    doc = spec.doc.get(language, "") if spec else ""
    # A stop ends a sentence; the one in "E.164" does not.
    return _STOP.split(doc)[0].strip() or name
