// Facts about a user in words: the numbers, and no verdict on them. The same words as core/signals/facts.py.

import { number } from "./format.js";

const SAYS = {
  regular: ({ value, events, numbers }) =>
    `regular: pauses of ${number(Math.round(numbers.mean_gap_s))} s ± ${whole(value)} % ` +
    `between ${number(events)} events`,
  one_sided: ({ value, events, numbers }) =>
    `one-sided: ${whole(value)} % of ${number(events)} shares credit one author, distinct posts ` +
    number(numbers.distinct_posts),
  effective_sharers: ({ events, numbers }) =>
    `few sharers: ${number(events)} shares, as if from ${number(Math.round(numbers.effective_sharers))} people`,
  synchrony: ({ events, numbers }) =>
    `in step: ${number(numbers.in_step)} of ${number(events)} shares within 10 s of another, ` +
    `${numbers.expected.toFixed(1)} expected`,
  audience_jump: ({ value }) => `audience jump: the audience grew to ${value.toFixed(1)} times the one before`,
  always_on: ({ value }) => `always on: active in ${number(value)} of 24 hours`,
};

const whole = (part) => number(Math.round(100 * part));

/** Several facts in one line; empty for none. One that a newer worker knows is called by its name. */
export const allSaid = (facts) => facts.map((fact) => SAYS[fact.name]?.(fact) ?? fact.name).join("; ");
