// Names from events as people read them, as in core/readable.py: one line, nothing hidden or drawn backwards.

const REPLACEMENT = "\ufffd";
const MOST = 256;
const MOST_MARKS = 4;

const UNSEEN = new RegExp(
  "[\\u034f\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u2800\\u3164\\ufe00-\\ufe0f\\uffa0" +
    "\\u{16fe4}\\u{1d159}\\u{1da9b}-\\u{1daaf}\\u{e0100}-\\u{e01ef}]",
  "u",
);
const NOT_PRINTABLE = /[^\P{C}]|[^ \P{Z}]/u;
const MARK = /[\p{Mn}\p{Me}]/u;
const SYMBOL = /[\p{So}\u{1f3fb}-\u{1f3ff}]/u;
const FROM_RIGHT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const ISOLATE = "\u2068";
const END_OF_ISOLATE = "\u2069";

const isSymbol = (character) => character !== undefined && !UNSEEN.test(character) && SYMBOL.test(character);

/** Whether the character joins two emoji, or chooses the coloured or the plain form of the symbol before it. */
function isOfEmoji(characters, i) {
  const before = characters[i - 1];
  const after = characters[i + 1];
  if (characters[i] === "\ufe0e" || characters[i] === "\ufe0f") {
    return isSymbol(before) || (/^[0-9#*]$/.test(before ?? "") && after === "\u20e3");
  }
  return characters[i] === "\u200d" && isSymbol(before === "\ufe0f" ? characters[i - 2] : before) && isSymbol(after);
}

/** @param {string} text */
export function readable(text, most = MOST) {
  let marks = MOST_MARKS; // none can stand at the beginning
  const characters = [...text].slice(0, most * (MOST_MARKS + 1));
  const shown = characters.map((character, i) => {
    const isUnseen = UNSEEN.test(character);
    if (MARK.test(character) && !isUnseen) {
      marks += 1;
      return marks <= MOST_MARKS ? character : REPLACEMENT;
    }
    const isShown = (!isUnseen && !NOT_PRINTABLE.test(character)) || isOfEmoji(characters, i);
    marks = isShown ? 0 : MOST_MARKS;
    return isShown ? character : REPLACEMENT;
  });
  return shown.length <= most ? shown.join("") : `${shown.slice(0, most - 1).join("")}…`;
}

/** A name within a sentence: letters that are written from the right do not turn what stands beside them. */
export function named(text) {
  const shown = readable(text);
  return FROM_RIGHT.test(shown) ? ISOLATE + shown + END_OF_ISOLATE : shown;
}
