"""Names that a stranger may choose, each to do something to the reader: terminal, page, log, spreadsheet, chat."""

ESC, BEL, CSI = "\x1b", "\x07", "\x9b"

HOSTILE = {
    "colour": f"a{ESC}[31mred",
    "clear": f"a{ESC}[2J{ESC}[Hb",
    "title": f"a{ESC}]0;owned{BEL}b",
    "clipboard": f"a{ESC}]52;c;b3duZWQ={BEL}b",
    "device control": f"a{ESC}P+q544e{ESC}\\b",
    "link": f"{ESC}]8;;http://evil.example{ESC}\\safe{ESC}]8;;{ESC}\\",
    "8 bit": f"a{CSI}31mred\x9d0;owned\x9c",
    "lines": "ann\r\n2026-01-01 00:00:00 ERROR forged: line",
    "line feed": "ann\nbob",
    "carriage return": "ann\rbob",
    "tab": "a\tb\x0bc\x0cd",
    "backspaces": "ann\b\b\bbob",
    "zero": "a\x00b",
    "delete": "a\x7fb",
    "next line": "a\x85b",
    "separators": "a\u2028b\u2029c",
    "backwards": "\u202eevil-rtl\u202c",
    "embedded": "\u202aa\u202bb\u202dc",
    "isolates": "\u2066a\u2067b\u2068c\u2069",
    "marks of direction": "a\u200eb\u200fc\u061cd",
    "zero width": "a\u200bb\u200cc\u200dd\u2060e\ufefff",
    "soft hyphen": "a\u00adb\u034fc",
    "fillers": "a\u115fb\u3164c\uffa0d\u2800e",
    "variations": "a\ufe0fb\ufe00c\U000e0100d",
    "tags": "a\U000e0001\U000e0041\U000e007fb",
    "byte order mark": "\ufeffann",
    "surrogate": "a\ud800b",
    "private": "a\ue000b\U0010ffffc",
    "zalgo": "a" + "\u0301\u0316" * 500,
    "many marks": "a" + "\u0301\u0316" * 60,
    "marks first": "\u0301\u0302ann",
    "long": "x" * 100_000,
    "long and wide": "\U0001f4a9" * 10_000,
    "markup": "[/nope] [bold]b[/] [link=http://evil.example]x[/link] \\[x] \\",
    "emoji code": ":warning: :pile_of_poo:",
    "formula": "=cmd|'/C calc'!A0",
    "formats": "%s {0} {user} ${x} {{7*7}}",
    "html": "<img src=x onerror=alert(1)>",
}

FORBIDDEN = [
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200B, 0x200E, 0x200F, 0x061C, 0x2028, 0x2029, 0x2060)),
    *("\ufeff", "\u00ad", "\u034f", "\u115f", "\u3164", "\uffa0", "\u2800", "\ud800"),
    *map(chr, (0xE0001, 0xE0041, 0xE007F, 0xE0100)),
]
"""What no name may bring to a reader."""

HARMLESS = (
    *("ann", "riser-01", "ann@example.org", "O'Brien", "Nguyễn Thị", "Zoë", "e\u0301", "x" * 256),
    *("山田太郎", "עַבְרִית", "العَرَبِيَّة"),
    *("ภาษาไทย", "हिन्दी"),
    *("👩\u200d💻", "❤\ufe0f", "🏳\ufe0f\u200d🌈", "👩🏽\u200d🚀", "1\ufe0f\u20e3", "🇩🇪"),
)
"""What is shown as it is."""
