-- How many requests of a tenant wait is counted before one more may.

CREATE INDEX waiting_tenant ON waiting (tenant, expires);
