// Texts to try a tokenizer with, the same for the same seed.

// Mulberry32: 32 bits of state are enough for test data.
export class Random {
  #state;
  constructor(seed) {
    this.#state = seed >>> 0;
  }
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
  // A whole number from 0 to below `end`.
  below(end) {
    return Math.floor(this.next() * end);
  }
  between(first, last) {
    return first + this.below(last - first + 1);
  }
  pick(list) {
    return list[this.below(list.length)];
  }
  chance(probability) {
    return this.next() < probability;
  }
}

// First and last code point of blocks in use; a few holes in them are unassigned on purpose.
const SCRIPTS = [
  [0x20, 0x7e], [0xa0, 0x17f], [0x180, 0x24f], [0x250, 0x2af], [0x370, 0x3ff], [0x400, 0x4ff],
  [0x530, 0x58f], [0x590, 0x5ff], [0x600, 0x6ff], [0x700, 0x74f], [0x900, 0x97f], [0x980, 0x9ff],
  [0xa00, 0xa7f], [0xb80, 0xbff], [0xc00, 0xc7f], [0xd00, 0xd7f], [0xe00, 0xe7f], [0xe80, 0xeff],
  [0xf00, 0xfff], [0x1000, 0x109f], [0x10a0, 0x10ff], [0x1100, 0x11ff], [0x1200, 0x137f],
  [0x13a0, 0x13ff], [0x1780, 0x17ff], [0x1800, 0x18af], [0x1e00, 0x1eff], [0x1f00, 0x1fff],
  [0x2c80, 0x2cff], [0x2d30, 0x2d7f], [0x3040, 0x30ff], [0x3100, 0x312f], [0x3130, 0x318f],
  [0x3400, 0x4dbf], [0x4e00, 0x9fff], [0xa000, 0xa48f], [0xa4d0, 0xa4ff], [0xac00, 0xd7a3],
  [0xf900, 0xfaff], [0xfb50, 0xfdff], [0xff00, 0xffef], [0x10000, 0x1007f], [0x10330, 0x1034f],
  [0x10400, 0x1044f], [0x12000, 0x123ff], [0x13000, 0x1342f], [0x1d400, 0x1d7ff],
  [0x1e900, 0x1e95f], [0x20000, 0x2a6df], [0x2f800, 0x2fa1f],
];
const MARKS = [[0x300, 0x36f], [0x483, 0x489], [0x591, 0x5bd], [0x64b, 0x65f], [0x93a, 0x94d],
  [0xe31, 0xe3a], [0x1ab0, 0x1abd], [0x20d0, 0x20f0], [0x3099, 0x309c], [0xfe00, 0xfe0f],
  [0xfe20, 0xfe2f], [0xe0100, 0xe01ef]];
const SYMBOLS = [[0x2000, 0x206f], [0x20a0, 0x20c0], [0x2100, 0x214f], [0x2190, 0x21ff],
  [0x2200, 0x22ff], [0x2300, 0x23ff], [0x2500, 0x257f], [0x2600, 0x27bf], [0x3000, 0x303f],
  [0xff01, 0xff0f], [0x1f000, 0x1f0ff], [0x1d100, 0x1d1ff]];
const NUMBERS = [[0x30, 0x39], [0xb2, 0xb3], [0xbc, 0xbe], [0x660, 0x669], [0x966, 0x96f],
  [0x2150, 0x2189], [0x2460, 0x249b], [0x3021, 0x3029], [0x3220, 0x3229], [0xff10, 0xff19],
  [0x1d7ce, 0x1d7ff], [0x10107, 0x10133]];
const SPACES = [..." \t\n\r\v\f\x1c\x1f\x85\xa0\u1680\u180e\u2000\u2003\u2009\u200a\u200b\u2028\u2029\u202f" +
  "\u205f\u2060\u3000\ufeff"];
const EMOJI = [..."😀🤖🎉👍🏽❤🔥🇩🇪🇯🇵👩🚀🧑💻🏳🌈🫨🫠0123#*"];
const ZWJ_EMOJI = ["👩‍🚀", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🧑🏿‍🤝‍🧑🏻", "❤️‍🔥", "👍🏽", "🇩🇪🇫🇷", "1️⃣", "🐻‍❄️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"];
const PROSE = ["the", "a", "I'm", "don't", "we'll", "DeepSeek", "tokenizer", "information", "naïve",
  "café", "Straße", "antidisestablishmentarianism", "are", "of", "and", "Über", "in", "U.S.A.",
  "e.g.", "--", "(see", "below)", "“quoted”", "…", "it's", "CAN'T", "20th", "3.14159", "1,000,000",
  "Привет", "мир", "как", "дела", "γειά", "σου", "مرحبا", "بالعالم", "שלום", "नमस्ते", "สวัสดีครับ",
  "你好", "世界", "今天天气很好。", "こんにちは", "カタカナ", "テスト・ケース", "안녕하세요", "세계", "中文,", "「日本語」"];
const CODE = ["if (", "for (int i = 0; i < n; ++i) {", "}", "return", "  ", "\t", "\n", "\n\n    ",
  "def f(x):", "self.value", "=>", "!==", "std::vector<int>", "#include <x>", "/* note */", "// x",
  "\"text\\n\"", "'c'", "`${a}`", "0xFF", "1e-9", "a[i]", "<div class=\"b\">", "</div>", "&&", "||",
  "SELECT * FROM t WHERE id = 1;", "$HOME", "@dec", "snake_case_name", "camelCaseName", "\r\n",
  ";;", "{}", "->", "...", "%d", "\\", "^", "~", "    return x\n", "_private", "__init__", "<<=",];
const PIECES_OF_SPECIAL = ["<", "｜", "|", ">", "▁", "begin▁of", "▁sentence", "User", "Assistant",
  "<｜", "｜>", "<|EOT|", "fim▁hole", "place▁holder▁no▁", "12", "<think>", "</think>"];

const fromRange = (random, ranges) => String.fromCodePoint(random.between(...random.pick(ranges)));
const repeat = (random, most, make) =>
  Array.from({ length: random.between(1, most) }, make).join("");

function runOfScript(random) {
  const script = [random.pick(SCRIPTS)];
  return repeat(random, 12, () => fromRange(random, script));
}

function randomBytes(random) {
  return Uint8Array.from({ length: random.between(1, 40) }, () => {
    // Half of them near the borders of UTF-8's byte classes, where decoders go wrong.
    if (random.chance(0.5)) return random.below(256);
    return random.pick([0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2,
      0xdf, 0xe0, 0xe4, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff]);
  });
}

const toText = (bytes) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);

function anyCharacter(random) {
  const code = random.below(0x110000 - 0x800);
  return String.fromCodePoint(code < 0xd800 ? code : code + 0x800);
}

// One fragment of every kind; texts are made of these.
const FRAGMENTS = {
  script: runOfScript,
  marks: (random) => repeat(random, 4, () => fromRange(random, SCRIPTS) + fromRange(random, MARKS)),
  symbols: (random) => repeat(random, 5, () => fromRange(random, SYMBOLS)),
  numbers: (random) => repeat(random, 9, () => fromRange(random, NUMBERS)),
  digits: (random) => repeat(random, 12, () => String(random.below(10))),
  spaces: (random) => repeat(random, 6, () => random.pick(SPACES)),
  blanks: (random) => random.pick([" ", "\n", "\t", "\r\n"]).repeat(random.between(1, 30)),
  emoji: (random) => repeat(random, 4, () => random.pick(EMOJI)),
  joined: (random) => repeat(random, 3, () => random.pick(ZWJ_EMOJI)),
  prose: (random) => repeat(random, 12, () => random.pick(PROSE) + random.pick(["", " ", " ", ", "])),
  code: (random) => repeat(random, 10, () => random.pick(CODE) + random.pick(["", " "])),
  ascii: (random) => repeat(random, 20, () => String.fromCharCode(random.between(0, 127))),
  controls: (random) => repeat(random, 4, () => fromRange(random, [[0, 0x1f], [0x7f, 0x9f]])),
  any: (random) => repeat(random, 6, () => anyCharacter(random)),
  bytes: (random) => toText(randomBytes(random)),
  special: (random) => repeat(random, 5, () => random.pick(PIECES_OF_SPECIAL)),
};
export const FRAGMENT_KINDS = Object.keys(FRAGMENTS);

export function makeFragment(random, kind) {
  return FRAGMENTS[kind](random);
}

// A text of one to six fragments, of one kind or mixed.
export function makeText(random) {
  const only = random.chance(0.3) ? random.pick(FRAGMENT_KINDS) : null;
  return repeat(random, 6, () => makeFragment(random, only ?? random.pick(FRAGMENT_KINDS)));
}

// One thing many times: merging and splitting must stay right, and fast, on long pieces.
export function makeLongRun(random) {
  const unit = random.pick(["a", "ab", "=", "-", " ", "\n", " \n", "0", "é", "ї", "你", "ー", "😀", "ा",
    "\x01", "\u200b", "_a", "'s", "<｜", " a", "\t\t ", "\r\n", random.pick(PROSE)]);
  return unit.repeat(random.between(50, 3000)) + random.pick(["", "x", " ", "1", "\n"]);
}

export { randomBytes, toText };
