-- The health services' patient index, PostgreSQL. English names, uuid keys, numeric codes (sex as in
-- ISO 5218), the date of birth in three columns.

CREATE OR REPLACE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;

CREATE TABLE IF NOT EXISTS patient (
    patient_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    national_id text CHECK (national_id ~ '^[A-Z]{1,2}[0-9]{1,7}$'),
    student_code text CHECK (student_code ~ '^[A-Z][0-9]{9}$'),
    surname text NOT NULL,
    first_name text NOT NULL,
    surname_ar text,
    first_name_ar text,
    birth_year text CHECK (birth_year ~ '^[0-9]{4}$'),
    birth_month text CHECK (birth_month ~ '^(0[1-9]|1[0-2])$'),
    birth_day text CHECK (birth_day ~ '^(0[1-9]|[12][0-9]|3[01])$'),
    gender smallint CHECK (gender IN (1, 2)),
    disability_code smallint CHECK (disability_code BETWEEN 0 AND 6),
    -- Clinical data: no agreement covers it.
    blood_group text CHECK (blood_group ~ '^(A|B|AB|O)[+-]$'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nulls(birth_year, birth_month, birth_day) IN (0, 3))
);

CREATE INDEX IF NOT EXISTS patient_national_id ON patient (national_id);

CREATE OR REPLACE TRIGGER touch_updated_at BEFORE UPDATE ON patient
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

CREATE TABLE IF NOT EXISTS health_service (
    service_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    code text NOT NULL UNIQUE,
    name text NOT NULL,
    name_ar text,
    sector_code smallint CHECK (sector_code BETWEEN 0 AND 8),
    audience text,
    commune_code text,
    phone text,
    status_code smallint CHECK (status_code BETWEEN 0 AND 2),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE OR REPLACE TRIGGER touch_updated_at BEFORE UPDATE ON health_service
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

CREATE TABLE IF NOT EXISTS incoming_referral (
    referral_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    slip_number text NOT NULL UNIQUE,
    patient_id uuid NOT NULL REFERENCES patient,
    service_id uuid REFERENCES health_service,
    reason_code smallint CHECK (reason_code BETWEEN 0 AND 11),
    urgency_code smallint CHECK (urgency_code BETWEEN 0 AND 2),
    state_code smallint CHECK (state_code BETWEEN 0 AND 6),
    issued_on date,
    answered_on date,
    closed_on date,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX IF NOT EXISTS incoming_referral_patient ON incoming_referral (patient_id);

CREATE OR REPLACE TRIGGER touch_updated_at BEFORE UPDATE ON incoming_referral
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
