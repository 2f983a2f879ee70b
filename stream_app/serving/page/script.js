// Puts the page together: the address says what is looked at, /live says what is known, the parts show it.

import { clearCut, showCut, showHistory } from "./panels/cut.js";
import { byId, isForAnotherTab, setText } from "./dom.js";
import { addFlag, beginFeed, chooseFeed, watchFeed } from "./panels/feed.js";
import { duration, zone } from "./text/format.js";
import { clearFunnel, showFunnel } from "./panels/funnel.js";
import { showHealth, showState } from "./panels/health.js";
import { clearLeaders, showEmerging, showLeaders, watchLeaders } from "./panels/leaderboard.js";
import { showQuality } from "./panels/quality.js";
import { Updates } from "./api/updates.js";
import { namesPopulation, placeHref, samePlace, selected } from "./selection.js";
import { setTerms, watchTerms } from "./text/terms.js";
import { askForToken, watchToken } from "./panels/token.js";
import { selectTopic, showTopics, watchTopicSearch } from "./panels/topics.js";
import { follow, watchWhy } from "./why/dialog.js";

let place = null;
let about = null;
let topics = null;
/** Event time from which on everything was counted; null where that is not known. */
let began_ms = null;
/** What came before /about, which everything else is read with. */
let early = [];

const PARTS = {
  open: () => beginFeed(about),
  about: (data) => showAbout(data),
  health: (data) => receivedHealth(data),
  topics: (data) => receivedTopics(data),
  curve: (data) => showCut(data, about, began_ms),
  history: (data) => showHistory(data, about, began_ms),
  influencers: (data) => showLeaders(data, about),
  emerging: (data) => showEmerging(data),
  funnel: (data) => showFunnel(data, about),
  quality: (data) => showQuality(data),
  flag: (data) => addFlag(data),
};

const updates = new Updates(received, (state, reason) => {
  showState(state, reason);
  if (state === "denied") askForToken();
});

function received(name, data) {
  if (name !== "about" && !about) {
    early.push([name, data]);
    return;
  }
  PARTS[name](data);
  if (name === "curve") byId("main").setAttribute("aria-busy", "false");
}

function showAbout(data) {
  const isFirst = about === null;
  about = data;
  setTerms(about);
  const rules = `window ${duration(about.window_s)} in panes of ${duration(about.pane_s)}`;
  const times = `times in ${zone(Date.now())}`;
  const coarse = about.min_group ? ` · numbers in steps, ${about.min_group} people at least` : "";
  const settings = `settings ${about.settings_version} · ${times}${coarse}`;
  setText(byId("settings"), `stream-app ${about.version} · ${rules} · ${settings}`);
  if (!isFirst) return;
  const waiting = early;
  early = [];
  for (const [name, event] of waiting) received(name, event);
  follow(() => about);
}

function receivedHealth(data) {
  began_ms = data.counting_since;
  showHealth(data);
}

function receivedTopics(data) {
  topics = data;
  const isEmpty = topics.total === 0 && topics.populations.length === 0;
  document.documentElement.toggleAttribute("data-empty", isEmpty);
  byId("empty").hidden = !isEmpty;
  byId("cut").hidden = isEmpty;
  byId("leaders").hidden = isEmpty;
  showTopics(topics);
  const [largest] = topics.populations;
  if (largest && !namesPopulation() && !topics.populations.includes(place.population)) {
    go({ ...place, population: largest }, "replaceState");
  }
}

/** Shows what the address says, if that is something else than before. */
function show() {
  const next = selected();
  if (place && samePlace(place, next)) return;
  place = next;
  document.documentElement.dataset.role = place.role;
  byId("main").setAttribute("aria-busy", "true");
  for (const input of document.getElementsByName("role")) input.checked = input.value === place.role;
  clearCut(place);
  clearFunnel();
  clearLeaders(place);
  selectTopic(place);
  chooseFeed(place);
  updates.show(place);
}

function go(next, how = "pushState") {
  history[how](null, "", placeHref(next));
  show();
}

/** Links to another place do not load the page again. */
function followLink(event) {
  const link = event.target.closest('a[href^="?"]');
  if (!link || isForAnotherTab(event)) return;
  event.preventDefault();
  history.pushState(null, "", link.getAttribute("href"));
  follow(() => about);
  show();
}

watchTerms();
watchTopicSearch();
watchLeaders();
watchFeed();
watchWhy(() => about);
watchToken(() => updates.show(place));
document.addEventListener("click", followLink);
addEventListener("popstate", show);
byId("roles").addEventListener("change", (event) => go({ ...place, role: event.target.value }));
byId("population").addEventListener("change", (event) =>
  go({ topic: "*", population: event.target.value, role: place.role }),
);
show();
