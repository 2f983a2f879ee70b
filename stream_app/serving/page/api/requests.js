// The questions the page asks the API by itself; everything else comes by /live.

/** Where the tracker is served: a proxy may put it below a path of its own. */
export const BASE = new URL("../../", import.meta.url).pathname;

const ROOT = `${BASE}api/v1`;

/** There is no answer; the message says why in words. */
export class NoAnswer extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** The URL of the updates for a place. */
export const updatesUrl = (place) => `${ROOT}/live?${new URLSearchParams(place)}`;

/** What is empty is not asked for; a list is the same parameter several times. */
function queryOf(parameters) {
  const pairs = Object.entries(parameters).flatMap(([name, value]) => [value].flat().map((each) => [name, each]));
  return new URLSearchParams(pairs.filter(([, value]) => value !== ""));
}

/**
 * @param {string} path below /api/v1
 * @param {Record<string, string | number | string[]>} parameters
 * @param {AbortSignal} [signal]
 * @throws {NoAnswer}
 */
export async function ask(path, parameters, signal) {
  const response = await send(`${path}?${queryOf(parameters)}`, { signal });
  if (!response.ok) throw new NoAnswer(await reason(response), response.status);
  return response.json();
}

/** The status of an answer that nobody reads. @throws {NoAnswer} */
export async function statusOf(path, options = {}) {
  return (await send(path, options)).status;
}

async function send(path, options) {
  try {
    return await fetch(ROOT + path, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new NoAnswer("The tracker does not answer. Is it running?", 0);
  }
}

async function reason(response) {
  try {
    const problem = await response.json();
    return problem.detail || problem.title;
  } catch {
    return `The tracker answered ${response.status}.`;
  }
}
