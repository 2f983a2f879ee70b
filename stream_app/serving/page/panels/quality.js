// How good the flags of the last week were, a line for each role: nothing until something is known.

import { byId, el } from "../dom.js";
import { duration, number, wholePercent } from "../text/format.js";
import { ROLE_NAME } from "../text/words.js";

const WINDOW = "7d";

export function showQuality({ qualities }) {
  const known = qualities.filter((one) => one.window === WINDOW && one.warnings > 0);
  byId("quality").replaceChildren(...known.map((one) => el("p", {}, words(one))));
}

function words({ role, warnings, right, precision, recall, lead_s }) {
  const came = `${ROLE_NAME[role]}s: of ${number(warnings)} warnings of the last week ${number(right)} came true`;
  const share = `${came} (${wholePercent(precision)}).`;
  if (recall === null) return share;
  const lead = lead_s === null ? "" : `, half of them ${duration(lead_s)} or more before`;
  return `${share} Of those who entered ${wholePercent(recall)} were foreseen${lead}.`;
}
