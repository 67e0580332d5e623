-- The grant of a token is found when another token is made of it.

CREATE INDEX access_tokens_jti ON access_tokens (tenant, jti);
