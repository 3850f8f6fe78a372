// Hands the page's challenge to the browser's passkeys and posts the answer
// through the page's own form. Nothing else is sent, and nothing is fetched.

const decode = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const encode = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const descriptors = (list) => (list ?? []).map((d) => ({ ...d, id: decode(d.id) }));

async function add(options) {
  const made = await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: decode(options.challenge),
      user: { ...options.user, id: decode(options.user.id) },
      excludeCredentials: descriptors(options.excludeCredentials),
    },
  });
  return {
    ...common(made),
    response: {
      clientDataJSON: encode(made.response.clientDataJSON),
      attestationObject: encode(made.response.attestationObject),
      transports: made.response.getTransports?.() ?? [],
    },
  };
}

async function use(options) {
  const given = await navigator.credentials.get({
    publicKey: { ...options, challenge: decode(options.challenge), allowCredentials: descriptors(options.allowCredentials) },
  });
  const { clientDataJSON, authenticatorData, signature, userHandle } = given.response;
  return {
    ...common(given),
    response: {
      clientDataJSON: encode(clientDataJSON),
      authenticatorData: encode(authenticatorData),
      signature: encode(signature),
      userHandle: userHandle ? encode(userHandle) : undefined,
    },
  };
}

const common = (c) => ({
  id: c.id,
  rawId: encode(c.rawId),
  type: c.type,
  authenticatorAttachment: c.authenticatorAttachment ?? undefined,
  clientExtensionResults: {},
});

const faults = { InvalidStateError: "known", NotAllowedError: "cancelled", AbortError: "cancelled" };

function prepare(form) {
  const answer = form.elements.namedItem("credential");
  const say = (name) => {
    for (const note of form.querySelectorAll("[data-passkey-fault]")) {
      note.hidden = note.dataset.passkeyFault !== name;
    }
  };
  form.querySelector("[data-passkey-without]").hidden = true;
  form.querySelector("[data-passkey-with]").hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.dataset.busy) return; // the browser asks already
    form.dataset.busy = "yes";
    say("");
    try {
      const options = JSON.parse(form.dataset.options).publicKey;
      answer.value = JSON.stringify(await (form.dataset.passkey === "add" ? add(options) : use(options)));
      form.submit();
    } catch (fault) {
      say(faults[fault.name] ?? "broken");
    } finally {
      delete form.dataset.busy;
    }
  });
}

if (window.PublicKeyCredential) {
  for (const form of document.querySelectorAll("form[data-passkey]")) prepare(form);
}
