// A cut with its 95 % intervals: digits end where the error begins.

import { number, percent } from "./format.js";

const NBSP = "\u00a0";
/** More digits nobody reads. */
const MOST_DIGITS = 2;

/** "31 %" where it is 31.0 % [26.2, 36.2]. */
export function percentOfUsers(cut) {
  const { percent_of_users: value, percent_of_users_low: low, percent_of_users_high: high } = cut;
  return low == null ? percent(value) : rounded(value, low, high) + NBSP + "%";
}

/** "26–36"; empty where no interval is known. @param {"k" | "percent_of_users" | "threshold"} name */
export function interval(cut, name) {
  const [low, high] = [cut[`${name}_low`], cut[`${name}_high`]];
  return low == null ? "" : `${rounded(low, low, high)}–${rounded(high, low, high)}`;
}

/** The value is a count, or in the unit of its interval, of which it shows no more digits than are known. */
function rounded(value, low, high) {
  if (high === low) return number(value);
  const place = Math.floor(Math.log10((high - low) / 2));
  const unit = 10 ** place;
  const nearest = Math.round(value / unit) * unit;
  if (!nearest) return new Intl.NumberFormat(undefined, { maximumSignificantDigits: 1 }).format(value);
  const digits = Math.min(Math.max(-place, 0), MOST_DIGITS);
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(undefined, options).format(nearest);
}
