// Numbers, durations and times as people read them.

const NUMBER = new Intl.NumberFormat();
const COMPACT = new Intl.NumberFormat(undefined, { notation: "compact", maximumSignificantDigits: 3 });
const ONE_DIGIT = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const TWO_DIGITS = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const SIGNIFICANT = new Intl.NumberFormat(undefined, { minimumSignificantDigits: 2, maximumSignificantDigits: 2 });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const DAY_OF_YEAR = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const UTC_DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const ZONE = new Intl.DateTimeFormat(undefined, { timeZoneName: "short" });
const RELATIVE = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

const NBSP = "\u00a0";
const MINUTE_S = 60;
const HOUR_S = 60 * MINUTE_S;
const DAY_S = 24 * HOUR_S;

export const number = (value) => NUMBER.format(value);
export const compact = (value) => COMPACT.format(value);
export const fraction = (value) => TWO_DIGITS.format(value);

/** A rate or a score: one digit where it is small. */
export const rate = (value) => (Math.abs(value) < 100 ? ONE_DIGIT.format(value) : NUMBER.format(Math.round(value)));

/** @param {number} value 6.2 for 6.2 % */
export function percent(value) {
  const isSmall = value > 0 && value < 1;
  return (isSmall ? SIGNIFICANT : ONE_DIGIT).format(value) + NBSP + "%";
}

/** A part of one as whole percent: 0.8 is 80 %. */
export const wholePercent = (part) => NUMBER.format(Math.round(part * 1000) / 10) + NBSP + "%";

/** "2 h 04 min", "35 min", "12 s", "3 d 4 h"; the two largest units. */
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < MINUTE_S) return `${s}${NBSP}s`;
  const minutes = Math.round(s / MINUTE_S);
  if (minutes < 60) return `${minutes}${NBSP}min`;
  const hours = Math.floor(minutes / 60);
  const rest = minutes % 60;
  if (hours < 48)
    return rest ? `${hours}${NBSP}h${NBSP}${String(rest).padStart(2, "0")}${NBSP}min` : `${hours}${NBSP}h`;
  const days = Math.floor(s / DAY_S);
  const left = Math.round((s - days * DAY_S) / HOUR_S);
  return left && left < 24 ? `${days}${NBSP}d${NBSP}${left}${NBSP}h` : `${days}${NBSP}d`;
}

const sameDay = (a, b) => a.toDateString() === b.toDateString();

/** The day, with its year where that is not this one. */
const dayOf = (date) => (date.getFullYear() === new Date().getFullYear() ? DAY : DAY_OF_YEAR).format(date);

/** 28 Feb, 17:07: local time with its day, never an age. */
export function moment(ms) {
  const date = new Date(ms);
  return `${dayOf(date)}, ${CLOCK.format(date)}`;
}

/** From when to when; the day of the end is left out where it is that of the beginning. */
export function span(from_ms, to_ms) {
  const sameDays = sameDay(new Date(from_ms), new Date(to_ms));
  return `${moment(from_ms)} – ${sameDays ? CLOCK.format(to_ms) : moment(to_ms)}`;
}

/** The zone of all times here, as at that moment: "Europe/London (GMT)". */
export function zone(ms) {
  const { timeZone } = ZONE.resolvedOptions();
  const short = ZONE.formatToParts(ms).find((part) => part.type === "timeZoneName").value;
  return short === timeZone ? timeZone : `${timeZone} (${short})`;
}

/** "8 Mar" of "2018-03-08". */
export const utcDay = (day) => UTC_DAY.format(new Date(`${day}T00:00:00Z`));

export const clock = (ms) => CLOCK.format(ms);
export const exactly = (ms) => EXACT.format(ms);
export const fullDay = (ms) => `${DAY_OF_YEAR.format(ms)}, ${CLOCK.format(ms)}`;

/** How long ago on the wall clock: for what happened here, never for event time. */
export function ago(ms, now_ms) {
  const seconds = Math.round((ms - now_ms) / 1000);
  if (seconds > -MINUTE_S) return RELATIVE.format(Math.min(0, seconds), "second");
  if (seconds > -HOUR_S) return RELATIVE.format(Math.round(seconds / MINUTE_S), "minute");
  if (seconds > -DAY_S) return RELATIVE.format(Math.round(seconds / HOUR_S), "hour");
  return RELATIVE.format(Math.round(seconds / DAY_S), "day");
}
