// The form that asks for a token where one is needed.

import { BASE, NoAnswer, statusOf } from "../api/requests.js";
import { byId, setText } from "../dom.js";

const SIGNED_IN = "stream-app.signed-in";

const dialog = byId("token");
const form = byId("token-form");
const signOut = byId("sign-out");

/** @param {() => void} onSession called when there is a session, or no longer one */
export function watchToken(onSession) {
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const entered = new URLSearchParams(new FormData(form));
    entered.set("path", BASE); // the cookie is sent where the tracker is, and nowhere beside it
    const refused = await refusal(entered);
    setText(byId("token-error"), refused);
    if (refused) return;
    form.reset();
    sessionStorage.setItem(SIGNED_IN, "yes");
    showSignOut();
    dialog.close();
    onSession();
  });
  signOut.addEventListener("click", async () => {
    await statusOf(`/session?${new URLSearchParams({ path: BASE })}`, { method: "DELETE" });
    sessionStorage.removeItem(SIGNED_IN);
    showSignOut();
    onSession();
  });
  showSignOut();
}

export function askForToken() {
  if (!dialog.open) dialog.showModal();
}

function showSignOut() {
  signOut.hidden = !sessionStorage.getItem(SIGNED_IN);
}

/** Why there is no session; empty where there is one. */
async function refusal(body) {
  try {
    const answered = await statusOf("/session", { method: "POST", body });
    if (answered < 300) return "";
    return answered === 401 ? "This is not the token. Check it, and try again." : `The tracker answered ${answered}.`;
  } catch (error) {
    if (error instanceof NoAnswer) return error.message;
    throw error;
  }
}
