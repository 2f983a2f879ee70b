// The one connection that brings every update: opened, watched, reopened; closed while the tab is hidden.

import { ask, updatesUrl, NoAnswer } from "./requests.js";

const EVENTS = [
  ...["about", "health", "quality", "topics", "curve", "history"],
  ...["influencers", "emerging", "funnel", "flag"],
];
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 10_000;
const SILENCE_MS = 40_000; // a ping comes every 15 s
const PATIENCE_MS = 10_000;

/** @typedef {"connecting" | "live" | "lost" | "denied"} State */

export class Updates {
  #source = null;
  #place = null;
  #failures = 0;
  #retry = 0;
  #silence = 0;
  #last = new Map();

  /**
   * @param {(name: string, data: any) => void} onEvent called only when the data has changed; `open` before all others
   * @param {(state: State, reason: string) => void} onState with what the tracker says, where it says something
   */
  constructor(onEvent, onState) {
    this.onEvent = onEvent;
    this.onState = onState;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#close() : this.#open()));
  }

  /** Show another place, or begin. */
  show(place) {
    this.#place = place;
    this.#last.clear();
    this.onState("connecting", "");
    this.#open();
  }

  #open() {
    this.#close();
    if (document.hidden || !this.#place) return;
    const source = new EventSource(updatesUrl(this.#place));
    this.#source = source;
    source.onopen = () => {
      this.#heard();
      this.onEvent("open", null);
    };
    source.onerror = () => this.#failed();
    source.addEventListener("ping", () => this.#heard());
    for (const name of EVENTS) source.addEventListener(name, (event) => this.#received(name, event.data));
    this.#listen();
  }

  #close() {
    clearTimeout(this.#retry);
    clearTimeout(this.#silence);
    this.#source?.close();
    this.#source = null;
  }

  #received(name, data) {
    this.#heard();
    if (name !== "flag") {
      if (this.#last.get(name) === data) return;
      this.#last.set(name, data);
    }
    this.onEvent(name, JSON.parse(data));
  }

  #heard() {
    this.#failures = 0;
    this.onState("live", "");
    this.#listen();
  }

  #listen() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#failed(), SILENCE_MS);
  }

  /** An EventSource does not say why it failed: a plain request does. */
  async #failed() {
    this.#close();
    const wait_ms = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures);
    this.#failures += 1;
    const refusal = await whyNot();
    if (this.#source || document.hidden) return; // opened again in the meantime, or looked away from
    if (!refusal && this.#failures === 1) return this.#open(); // only the connection had ended
    if (refusal?.status === 401) return this.onState("denied", "");
    this.onState("lost", refusal?.status ? refusal.message : "");
    this.#retry = setTimeout(() => this.#open(), wait_ms);
  }
}

/** Why a plain question is not answered; null where it is. @returns {Promise<NoAnswer | null>} */
async function whyNot() {
  try {
    await ask("/about", {}, AbortSignal.timeout(PATIENCE_MS));
    return null;
  } catch (error) {
    if (error instanceof NoAnswer) return error;
    throw error;
  }
}
