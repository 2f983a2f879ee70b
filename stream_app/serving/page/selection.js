// The selection, as it stands in the address of the page: ?topic=&population=&role= and #why=.

import { ROLES } from "./text/words.js";

/** @typedef {{topic: string, population: string, role: string}} Place */

/** @returns {Place} */
function placeIn(parameters) {
  const role = parameters.get("role");
  return {
    topic: parameters.get("topic") || "*",
    population: parameters.get("population") || "all",
    role: ROLES.includes(role) ? role : "connector",
  };
}

/** @returns {Place} */
export const selected = () => placeIn(new URLSearchParams(location.search));

/** Whether the address names a population, or leaves it to the page. */
export const namesPopulation = () => new URLSearchParams(location.search).has("population");

/** @param {Place} place */
const query = ({ topic, population, role }) => new URLSearchParams({ topic, population, role });

/** @param {Place} place */
export const placeHref = (place) => `?${query(place)}`;

/** @param {Place} place */
export function whyHref(user, place) {
  return `#${new URLSearchParams({ why: user })}&${query(place)}`;
}

/** @returns {{user: string, place: Place} | null} */
export function askedWhy() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const user = parameters.get("why");
  return user ? { user, place: placeIn(parameters) } : null;
}

/** @param {Place} place */
export const samePlace = (a, b) => a.topic === b.topic && a.population === b.population && a.role === b.role;
