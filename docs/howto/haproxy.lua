-- Lets HAProxy (2.6 or newer) ask Gatehouse before it passes a request on.
--
--   global
--       setenv GATEHOUSE_URL http://127.0.0.1:8082/authz/forward
--       lua-load /etc/haproxy/gatehouse.lua
--   frontend web
--       http-request lua.gatehouse
--       http-request deny deny_status 503 unless { var(txn.gatehouse) -m str allowed }
--
-- The last line matters: HAProxy goes on with a request whose script has failed.
-- GATEHOUSE_TOKEN, likewise, is the token of server.decide.token.

local address, token = os.getenv("GATEHOUSE_URL"), os.getenv("GATEHOUSE_TOKEN")

-- What the gateway says of the caller. Add the headers of headers.claims.
local identity = { "x-user-id", "x-client-id", "x-granted-scopes", "x-gatehouse-context", "x-gatehouse-omitted" }

-- Headers of the client that are not passed on to the question: those that this
-- script says itself, and those of the connection.
local function ours(name)
    return name:match("^x%-forwarded%-") or name:match("^x%-original%-") or name == "gatehouse-token" or name == "host"
        or name == "client-cert" or name == "client-cert-chain" or name == "connection" or name == "content-length" or name == "transfer-encoding" or name == "expect"
        or name == "upgrade" or name == "te" or name == "trailer" or name == "keep-alive"
end

local function refuse(txn, status, headers, body)
    txn:done(txn:reply { status = status, headers = headers, body = body })
end

core.register_action("gatehouse", { "http-req" }, function(txn)
    local question = {}
    for name, values in pairs(txn.http:req_get_headers()) do
        if not ours(name) then
            question[name] = {}
            for i = 0, #values do -- HAProxy counts from 0
                table.insert(question[name], values[i])
            end
        end
    end
    question["x-forwarded-method"] = { txn.f:method() }
    question["x-forwarded-uri"] = { txn.f:pathq() }
    question["x-forwarded-proto"] = { txn.f:ssl_fc() == 1 and "https" or "http" }
    question["x-forwarded-host"] = { txn.f:req_hdr("host") }
    question["x-forwarded-for"] = { txn.f:src() }
    local certificate = txn.f:ssl_c_der()
    if certificate and certificate ~= "" then -- read where server.decide.client_cert_header is client-cert
        question["client-cert"] = { ":" .. txn.c:base64(certificate) .. ":" }
    end
    if token then
        question["gatehouse-token"] = { token }
    end

    txn:set_var("txn.gatehouse", "asking")
    local answer = core.httpclient():get { url = address, headers = question }
    if not answer or answer.status ~= 200 then
        local status = answer and answer.status or 0
        if status < 400 then
            return refuse(txn, 503, {}, "") -- no answer is no permission
        end
        local headers = {}
        for _, name in ipairs { "content-type", "cache-control", "www-authenticate", "retry-after", "gatehouse-decision", "x-request-id" } do
            headers[name] = answer.headers[name]
            if headers[name] and headers[name][0] then
                headers[name] = { headers[name][0] }
            end
        end
        return refuse(txn, status, headers, answer.body)
    end

    for _, name in ipairs(identity) do
        txn.http:req_del_header(name)
        local values = answer.headers[name]
        local value = values and (values[0] or values[1])
        if value and value ~= "" then
            txn.http:req_set_header(name, value)
        end
    end
    -- Where APIs have auth: session, the client's cookies without it.
    local cookies = answer.headers["cookie"]
    if cookies then
        txn.http:req_del_header("cookie")
        local left = cookies[0] or cookies[1]
        if left and left ~= "" then
            txn.http:req_set_header("cookie", left)
        end
    end
    for _, name in ipairs { "authorization", "dpop", "client-cert", "client-cert-chain", "x-original-url", "x-rewrite-url", "x-http-method-override", "forwarded", "x-real-ip", "x-client-ip" } do
        txn.http:req_del_header(name)
    end
    txn:set_var("txn.gatehouse", "allowed")
end, 0)
