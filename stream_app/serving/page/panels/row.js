// One row of the leaderboard: a user in the chosen topic and role.

import { recentPanes, sparkline } from "../charts/bars.js";
import { el, icon, setText, unseen } from "../dom.js";
import { number, percent, rate } from "../text/format.js";
import { whyHref } from "../selection.js";
import { allSaid } from "../text/signals.js";
import { readable } from "../text/readable.js";
import { evidenceOf, isSlow, odds, ownObstacle, STANDING } from "../text/words.js";

const cell = (className, ...children) => el("td", { class: className, role: "cell" }, ...children);

const BORDERLINE = "Borderline: inside the interval of θ, so that who happened to be active decides";

/** @returns {{node: HTMLElement, update: (row: any) => void}} A row is a user with what the row is seen against. */
export function makeRow() {
  const rank = cell("rank");
  const link = el("a", { class: "user" });
  const spark = sparkline();
  const trend = el("span", { class: "trend" });
  const value = el("span");
  const borderline = el("span", { class: "borderline", "aria-hidden": "true", title: BORDERLINE });
  const said = unseen("");
  const noticed = el("span", { class: "noticed", hidden: "" }, "◆");
  const marks = unseen("");
  const share = cell("share");
  const standing = cell("standing");
  const node = el(
    "tr",
    { role: "row" },
    rank,
    el("th", { scope: "row", role: "rowheader", class: "who" }, link, noticed, marks),
    cell("activity", spark.node, trend),
    cell("value", value, borderline, said),
    share,
    standing,
  );
  node.addEventListener("click", (event) => {
    if (!event.target.closest("a, button") && !getSelection().toString()) link.click();
  });
  const update = ({ user, place, about, pane_ms, threshold }) => {
    setText(rank, number(user.rank));
    const name = readable(user.user_id);
    setText(link, name);
    link.title = name;
    link.href = whyHref(user.user_id, place);
    const signals = allSaid(user.signals);
    noticed.hidden = !signals;
    noticed.title = signals && `${signals}\ntrusted: ${number(user.trusted)} of ${number(user.value)}`;
    setText(marks, signals && ` noticed: ${signals}`);
    spark.update(user.panes, recentPanes(about, pane_ms));
    showTrend(trend, user);
    setText(value, number(user.value));
    setText(share, percent(user.share * 100));
    share.title = `${user.share * 100} %`;
    node.className = user.standing;
    standing.replaceChildren(...standingOf(user, threshold, place.role, about));
    setText(borderline, user.borderline ? "±" : "");
    setText(said, user.borderline ? " borderline" : "");
  };
  return { node, update };
}

/** An arrow; how fast in its title. */
function showTrend(trend, user) {
  trend.className = `trend ${user.trend}`;
  const now = `${rate(user.short_rate)} ± ${rate(user.rate_error)} per hour`;
  trend.title = `${user.trend}: ${now}, before that ${rate(user.long_rate)}`;
  trend.replaceChildren(icon(user.trend), unseen(user.trend));
}

function standingOf(user, threshold, role, about) {
  const isAbove = threshold > 0 && user.value >= threshold;
  const obstacle = isAbove ? ownObstacle(user.value, role, threshold, about) : "";
  if (user.standing === "none" && obstacle) return [el("span", { class: "faint obstacle", title: obstacle }, obstacle)];
  if (user.standing === "none") return [el("span", { class: "faint" }, "–"), unseen("none")];
  const word = el("span", { class: "word" }, icon(user.standing), STANDING[user.standing]);
  if (user.standing !== "emerging") return [word];
  const done = threshold ? Math.min(1, user.value / threshold) : 0;
  const meter = el(
    "span",
    { class: "meter", title: `${number(user.value)} of θ ${number(threshold)}` },
    el("span", { class: "fill" }),
  );
  meter.firstChild.style.width = `${done * 100}%`;
  const z = el("span", { class: "z", title: String(user.z) }, `z ${rate(user.z)}`);
  const words = isSlow(user, threshold, about) ? "slowed down" : odds(user);
  const chance = el("span", { class: "when", title: evidenceOf(user) }, icon("emerging"), words);
  return [el("span", { class: "course" }, chance, z), meter];
}
