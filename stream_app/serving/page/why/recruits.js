// Whom a user brought in, as a tree: each level is asked for when it is opened.

import { ask, NoAnswer } from "../api/requests.js";
import { el } from "../dom.js";
import { compact, exactly, moment, number } from "../text/format.js";
import { readable } from "../text/readable.js";
import { populationOf, topicName } from "../text/words.js";

/** The tree is read no deeper: on a phone there is no room. */
const DEEPEST = 8;

/**
 * The section of a user, which has nothing where nobody was brought in.
 * @returns {HTMLElement}
 */
export function broughtIn(user, { topic, population }, signal) {
  const section = el("section", { class: "recruits" });
  const place = { topic, population };
  const title = el("h3", { id: "recruits-title" }, "Brought in");
  const which = `Their entries into ${topicName(topic)}${populationOf(place)}, the newest first.`;
  const where = el("p", { class: "note" }, which);
  level([user], place, signal).then((nodes) => nodes.length && section.append(title, where, ...nodes));
  return section;
}

/** What is below a user, the last of `path`. @returns {Promise<HTMLElement[]>} */
async function level(path, place, signal) {
  try {
    return shown(await ask("/users/recruits", { id: path.at(-1), ...place }, signal), path, place, signal);
  } catch (error) {
    if (error.name === "AbortError") return [];
    if (!(error instanceof NoAnswer)) throw error;
    return error.status === 404 ? [] : [el("p", { class: "note" }, error.message)];
  }
}

function shown({ recruits, total, missing_partitions }, path, place, signal) {
  const rows = (recruits ?? []).map((recruit) => row(recruit, path, place, signal));
  const list = rows.length ? [el("ul", path.length === 1 ? { "aria-labelledby": "recruits-title" } : {}, ...rows)] : [];
  const more = total > rows.length ? [`${number(total - rows.length)} more, older.`] : [];
  const missing = missing_partitions.length;
  if (missing) more.push(`People of ${number(missing)} partitions are missing: their worker did not answer.`);
  return [...list, ...more.map((words) => el("p", { class: "note" }, words))];
}

function row(recruit, path, place, signal) {
  const isAbove = path.includes(recruit.user_id);
  const isLeaf = !recruit.brought_in || isAbove || path.length >= DEEPEST;
  if (isLeaf) return el("li", {}, ...words(recruit, isAbove));
  const below = el("div", { "aria-live": "polite" });
  const details = el("details", {}, el("summary", {}, ...words(recruit, false)), below);
  const open = async () => {
    below.append(el("p", { class: "note" }, "Asking whom they brought in"));
    below.replaceChildren(...(await level([...path, recruit.user_id], place, signal)));
  };
  details.addEventListener("toggle", open, { once: true });
  return el("li", {}, details);
}

function words({ user_id, entered, is_new, impressions, brought_in }, isAbove) {
  const time = el("time", { datetime: new Date(entered).toISOString(), title: exactly(entered) }, moment(entered));
  const facts = [
    is_new ? "new" : "re-entered",
    `${compact(impressions)} impressions`,
    brought_in ? `brought in ${number(brought_in)}` : "",
    isAbove ? "is above" : "",
  ];
  const details = facts.filter(Boolean).map((fact) => ` · ${fact}`);
  return [
    el("span", { class: "name", title: readable(user_id) }, readable(user_id)),
    el("span", { class: "details" }, time, ...details),
  ];
}
