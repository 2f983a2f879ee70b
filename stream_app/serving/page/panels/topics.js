// All topics side by side: what part of the users makes 80 %, for each role, on one scale.

import { ask, NoAnswer } from "../api/requests.js";
import { byId, debounced, el, keyedRows, setText, unseen } from "../dom.js";
import { number, wholePercent } from "../text/format.js";
import { interval, percentOfUsers } from "../text/interval.js";
import { placeHref } from "../selection.js";
import { readable } from "../text/readable.js";
import { ROLES, topicName, WHY_NOBODY } from "../text/words.js";

const SEARCH_MS = 250;

const list = byId("topic-list");
const show = keyedRows(list, (item) => `${item.population} ${item.topic}`, makeTopic);
const field = byId("topic-query");

let place = null;
let latest = null;
let found = null;
/** The place whose topic was brought into view. */
let revealed = null;

/** @param {import("../selection.js").Place} next */
export function selectTopic(next) {
  if (place && place.population !== next.population) {
    latest = null;
    found = null;
    field.value = "";
  }
  place = next;
  draw();
}

export function showTopics(answer) {
  latest = answer;
  byId("topic-search").hidden = answer.total <= answer.topics.length && !field.value;
  draw();
  showPopulations(answer.populations);
}

/** The selector is there only where there is a choice. */
function showPopulations(populations) {
  const select = byId("population");
  const names = populations.includes(place.population) ? populations : [place.population, ...populations];
  if (names.join("\n") !== [...select.options].map((option) => option.value).join("\n")) {
    select.replaceChildren(...names.map((name) => el("option", { value: name }, readable(name))));
  }
  select.value = place.population;
  byId("population-choice").hidden = names.length < 2;
}

export function watchTopicSearch() {
  field.addEventListener("input", debounced(search, SEARCH_MS));
  // A browser leaves what is partly in view where it is.
  list.addEventListener("focusin", (event) => event.target.scrollIntoView({ block: "nearest", inline: "nearest" }));
}

async function search() {
  const words = field.value.trim();
  if (!words) {
    found = null;
    return draw();
  }
  try {
    found = await ask("/topics", { population: place.population, search: words, limit: 24 });
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    return note(error.message);
  }
  return draw();
}

function note(words) {
  setText(byId("topic-note"), words);
  byId("topic-note").hidden = !words;
}

function draw() {
  const answer = found ?? latest;
  if (!answer) return show([]);
  const cuts = answer.topics.flatMap((topic) => ROLES.map((role) => topic[role]).filter(Boolean));
  const most = Math.max(10, ...cuts.map((cut) => cut.percent_of_users));
  show(answer.topics.map((topic) => ({ ...topic, most, place, isHere: topic.topic === place.topic })));
  reveal();
  if (cuts.length) setText(byId("legend-share"), wholePercent(cuts[0].share));
  byId("legend-recruits").hidden = !cuts.some((cut) => cut.role === "recruiter");
  return note(notes(answer));
}

/** On a phone the topics are a strip: the chosen one is brought into it, once. */
function reveal() {
  const chosen = list.querySelector("[aria-current]")?.parentElement;
  if (!chosen || revealed === place) return;
  revealed = place;
  list.scrollLeft = chosen.offsetLeft - (list.clientWidth - chosen.offsetWidth) / 2;
}

function notes(answer) {
  if (found && !found.topics.length) return "There is no such topic.";
  const more = answer.total - answer.topics.length;
  return more > 0 ? `${number(more)} more: find them by name.` : "";
}

function makeTopic() {
  const name = el("span", { class: "name" });
  const bars = ROLES.map(makeBar);
  const link = el("a", { class: "topic" }, name, ...bars.map((bar) => bar.node));
  const update = (item) => {
    setText(name, topicName(item.topic));
    name.title = readable(item.topic);
    link.href = placeHref({ ...item.place, topic: item.topic, population: item.population });
    if (item.isHere) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
    ROLES.forEach((role, i) => {
      bars[i].update(item[role], item.most);
      if (!item[role] && role in WHY_NOBODY) bars[i].node.remove();
      else if (!bars[i].node.parentNode) link.append(bars[i].node);
    });
  };
  return { node: el("li", {}, link), update };
}

function titleOf(cut) {
  const words = interval(cut, "percent_of_users");
  const within = words && `, ${words}\u00a0% with other people like these`;
  return `${number(cut.k)} of ${number(cut.users)} users${within}${cut.diffuse ? ": diffuse" : ""}`;
}

function makeBar(role) {
  const fill = el("span", { class: "fill" });
  const value = el("span", { class: "value" });
  const word = unseen("");
  const node = el(
    "span",
    { class: "measure", "data-role": role },
    unseen(` ${role}s: `),
    el("span", { class: "track" }, fill),
    value,
    word,
  );
  const update = (cut, most) => {
    fill.style.width = cut ? `${(100 * cut.percent_of_users) / most}%` : "0";
    fill.classList.toggle("diffuse", Boolean(cut?.diffuse));
    setText(value, cut ? percentOfUsers(cut) : "–");
    setText(word, cut?.diffuse ? ", diffuse" : "");
    node.title = cut ? titleOf(cut) : "";
  };
  return { node, update };
}
