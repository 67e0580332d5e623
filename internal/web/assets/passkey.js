// Makes a passkey, or uses one (WebAuthn), and sends what the browser answers with
// the form. The server says what to ask of the browser, and checks the answer.
"use strict";
(() => {
  const form = document.getElementById("passkey");
  if (!form) return;
  const has = window.PublicKeyCredential && navigator.credentials;
  if (!has) {
    document.getElementById("no-passkey").hidden = false;
    return;
  }
  form.hidden = false;
  const problem = form.querySelector("[role=alert]");
  const create = form.dataset.use === "create";

  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

  // What JSON cannot hold is base64url in the options and in the answer.
  function options() {
    const o = JSON.parse(form.dataset.options);
    o.challenge = bytes(o.challenge);
    if (o.user) o.user.id = bytes(o.user.id);
    for (const list of [o.excludeCredentials, o.allowCredentials]) {
      for (const c of list || []) c.id = bytes(c.id);
    }
    return o;
  }
  function answer(credential) {
    const response = {};
    for (const part of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[part]) response[part] = text(credential.response[part]);
    }
    if (credential.response.getTransports) response.transports = credential.response.getTransports();
    return JSON.stringify({
      id: credential.id, rawId: text(credential.rawId), type: credential.type, response, clientExtensionResults: {},
      authenticatorAttachment: credential.authenticatorAttachment || undefined,
    });
  }
  function send(credential) {
    form.elements.passkey.value = answer(credential);
    form.submit(); // past the listener below
  }

  // The words are the page's, in its language.
  const says = { InvalidStateError: "taken", NotAllowedError: "notDone", SecurityError: "address", NotSupportedError: "device" };
  let waiting = null; // for the browser to offer passkeys in the field of the name

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    problem.hidden = true;
    button.disabled = true;
    waiting?.abort();
    try {
      send(create ? await navigator.credentials.create({ publicKey: options() }) : await navigator.credentials.get({ publicKey: options() }));
    } catch (error) {
      problem.textContent = form.dataset[says[error.name] || "failed"];
      problem.hidden = false;
      button.disabled = false;
      button.focus();
    }
  });

  async function offer() {
    if (!form.dataset.conditional || !(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
    waiting = new AbortController();
    try {
      send(await navigator.credentials.get({ publicKey: options(), mediation: "conditional", signal: waiting.signal }));
    } catch {
      // Nobody has chosen one there; the button is still good.
    }
  }
  offer();
})();
