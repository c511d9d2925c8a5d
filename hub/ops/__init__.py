"""Operations: metrics, provisioning, status and explanation. Reads what the lanes leave; changes nothing."""
