-- Codes that were sent by e-mail as a second factor, sealed: the last one of each factor.

CREATE TABLE email_codes (
    tenant TEXT NOT NULL,
    factor TEXT NOT NULL,
    sealed TEXT NOT NULL,
    tries BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (tenant, factor)
) /* keyed */;

CREATE INDEX email_codes_expires ON email_codes (expires);
