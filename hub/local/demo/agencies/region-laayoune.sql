-- Region of Laâyoune–Sakia El Hamra, SQLite. Integer keys without AUTOINCREMENT, so that the number of
-- a deleted row is given out again; dates are ISO text; `modifie_le` is kept by the application.

PRAGMA journal_mode = WAL;

CREATE TABLE IF NOT EXISTS etablissement (
    id INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    nom TEXT NOT NULL,
    nom_ar TEXT,
    nature INTEGER NOT NULL CHECK (nature BETWEEN 1 AND 10),
    code_commune TEXT,
    places INTEGER CHECK (places > 0),
    tel TEXT,
    ouvert_le TEXT CHECK (ouvert_le IS date(ouvert_le)),
    modifie_le TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

CREATE TABLE IF NOT EXISTS personne (
    id INTEGER PRIMARY KEY,
    cin TEXT,
    nom TEXT NOT NULL,
    prenom TEXT NOT NULL,
    nom_ar TEXT,
    prenom_ar TEXT,
    sexe TEXT CHECK (sexe IN ('H', 'F')),
    ne_le TEXT CHECK (ne_le IS date(ne_le)),
    code_commune TEXT,
    tel TEXT CHECK (length(tel) <= 13),
    niveau TEXT CHECK (niveau IN (
        'aucun', 'prescolaire', 'primaire', 'college', 'lycee', 'formation', 'superieur')),
    modifie_le TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

CREATE INDEX IF NOT EXISTS personne_cin ON personne (cin);

CREATE TABLE IF NOT EXISTS association (
    id INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    nom TEXT NOT NULL,
    nom_ar TEXT,
    statut INTEGER CHECK (statut BETWEEN 1 AND 3),
    domaines TEXT,
    code_commune TEXT,
    tel TEXT,
    etat INTEGER CHECK (etat BETWEEN 1 AND 3),
    convention_au TEXT CHECK (convention_au IS date(convention_au)),
    modifie_le TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

CREATE TABLE IF NOT EXISTS service (
    id INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    nom TEXT NOT NULL,
    nom_ar TEXT,
    secteur INTEGER CHECK (secteur BETWEEN 1 AND 9),
    publics TEXT,
    etablissement_id INTEGER REFERENCES etablissement (id),
    association_id INTEGER REFERENCES association (id),
    code_commune TEXT,
    tel TEXT,
    etat INTEGER CHECK (etat BETWEEN 1 AND 3),
    modifie_le TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

CREATE TABLE IF NOT EXISTS module (
    id INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    titre TEXT NOT NULL,
    titre_ar TEXT,
    nature INTEGER CHECK (nature BETWEEN 1 AND 2),
    matiere INTEGER CHECK (matiere BETWEEN 1 AND 15),
    etablissement_id INTEGER REFERENCES etablissement (id),
    certificateur INTEGER CHECK (certificateur BETWEEN 1 AND 4),
    heures INTEGER CHECK (heures >= 0),
    places INTEGER CHECK (places >= 0),
    etat INTEGER CHECK (etat BETWEEN 1 AND 4),
    modifie_le TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

CREATE TABLE IF NOT EXISTS projet (
    id INTEGER PRIMARY KEY,
    numero TEXT NOT NULL UNIQUE,
    personne_id INTEGER NOT NULL REFERENCES personne (id),
    etablissement_id INTEGER REFERENCES etablissement (id),
    titre TEXT,
    titre_ar TEXT,
    nature INTEGER CHECK (nature BETWEEN 1 AND 4),
    secteur INTEGER CHECK (secteur BETWEEN 1 AND 8),
    etat INTEGER CHECK (etat BETWEEN 1 AND 6),
    demande_dh INTEGER CHECK (demande_dh >= 0),
    accorde_dh INTEGER CHECK (accorde_dh >= 0),
    accorde_le TEXT CHECK (accorde_le IS date(accorde_le)),
    demarre_le TEXT CHECK (demarre_le IS date(demarre_le)),
    modifie_le TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

CREATE INDEX IF NOT EXISTS projet_personne ON projet (personne_id);
