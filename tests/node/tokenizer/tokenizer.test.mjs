// Fathom's tokenizer against Hugging Face's, with the real DeepSeek-V3 tokenizer.json, on texts
// generated from a seed (FATHOM_TEST_SEED; fixed unless set).
import { Tokenizer } from "@huggingface/tokenizers";
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { ask, readTokenizerJson } from "./oracle_cli.mjs";
import {
  FRAGMENT_KINDS, makeFragment, makeLongRun, makeText, Random, randomBytes, toText,
} from "./random_text.mjs";

const seed = Number(process.env.FATHOM_TEST_SEED ?? 20250601);
const tokenizerJson = readTokenizerJson();
const oracle = new Tokenizer(tokenizerJson, { clean_up_tokenization_spaces: false });
// The same without added tokens: what a user's text must become.
const plainOracle = new Tokenizer({ ...tokenizerJson, added_tokens: [] }, {});
const addedTokens = tokenizerJson.added_tokens.map((token) => token.content);
const addedIds = new Set(tokenizerJson.added_tokens.map((token) => token.id));

const idsOf = (tokenizer, text) => tokenizer.encode(text, { add_special_tokens: false }).ids;
const show = (text) => JSON.stringify(text).slice(0, 300);

function texts() {
  const random = new Random(seed);
  const made = ["", " ", "\n", "a", "\u0000", "\ufeffa", "�", ...addedTokens];
  for (const kind of FRAGMENT_KINDS) {
    for (let i = 0; i < 150; ++i) made.push(makeFragment(random, kind));
  }
  while (made.length < 12_000) made.push(makeText(random));
  for (let i = 0; i < 100; ++i) made.push(makeLongRun(random));
  return made.filter(isShared);
}

// A text with added tokens in it, whole, doubled and broken.
function textWithAddedTokens(random) {
  let text = "";
  for (let parts = random.between(1, 8); parts > 0; --parts) {
    const token = random.pick(addedTokens);
    text += random.pick([
      () => token,
      () => token,
      () => token.slice(0, random.below(token.length)),
      () => token.slice(random.below(token.length)),
      () => makeFragment(random, random.pick(FRAGMENT_KINDS)),
    ])();
  }
  return text;
}

function assertSameTokens(text, answer, expectedIds) {
  assert.deepEqual(answer.ids, expectedIds, `tokens of ${show(text)} (seed ${seed})`);
  assert.equal(answer.decoded, text, `decoding ${show(text)} (seed ${seed})`);
  assert.equal(answer.pushes.join(""), text, `streaming ${show(text)} (seed ${seed})`);
}

// Every code point's class, ours and this Node.js's. Where they are of different Unicode versions
// they differ on characters that one of them has and the other does not: those are left out of the
// texts. Nothing else may differ.
const differing = new Set();
const CLASSES = { L: /^\p{L}$/u, M: /^\p{M}$/u, N: /^\p{N}$/u, P: /^\p{P}$/u, S: /^\p{S}$/u,
  W: /^\p{White_Space}$/u, "-": /^\p{C}$/u };

before(async () => {
  const [{ classes }] = await ask([{ op: "classes" }]);
  for (let code = 0; code <= 0x10ffff; ++code) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const character = String.fromCodePoint(code);
    if (CLASSES[classes[code]].test(character)) continue;
    differing.add(character);
    const newInOneVersion = classes[code] === "-" || /\p{Cn}/u.test(character);
    assert.ok(newInOneVersion, `class of U+${code.toString(16)}: ${classes[code]} is not Node.js's`);
  }
  assert.ok(differing.size < 20_000, `${differing.size} code points differ`);
});

const isShared = (text) => differing.size === 0 || ![...text].some((c) => differing.has(c));

test("a user's text gives the oracle's tokens and never an added one", async () => {
  const all = texts();
  assert.ok(all.length >= 10_000);
  const answers = await ask(all.map((text) => ({ op: "encode", text })));
  all.forEach((text, i) => {
    assertSameTokens(text, answers[i], idsOf(plainOracle, text));
    assert.ok(!answers[i].ids.some((id) => addedIds.has(id)), `an added token from ${show(text)}`);
  });
});

test("added tokens are found where the oracle finds them", async () => {
  const random = new Random(seed + 1);
  const all = [...texts(),
    ...Array.from({ length: 3_000 }, () => textWithAddedTokens(random)).filter(isShared)];
  const answers = await ask(all.map((text) => ({ op: "encode_added", text })));
  let withAdded = 0;
  all.forEach((text, i) => {
    assertSameTokens(text, answers[i], idsOf(oracle, text));
    withAdded += answers[i].ids.some((id) => addedIds.has(id)) ? 1 : 0;
  });
  assert.ok(withAdded > 2_000, `added tokens in ${withAdded} texts only`);
});

test("ill-formed bytes count as the replacement characters that decoders make of them", async () => {
  const random = new Random(seed + 2);
  const all = Array.from({ length: 2_000 }, () => randomBytes(random))
    .filter((bytes) => isShared(toText(bytes)));
  const answers = await ask(
    all.map((bytes) => ({ op: "encode", hex: Buffer.from(bytes).toString("hex") })));
  all.forEach((bytes, i) =>
    assertSameTokens(toText(bytes), answers[i], idsOf(plainOracle, toText(bytes))));
});

// A prompt cut into pieces at random: trusted parts of it as the oracle has them, untrusted parts
// as plain text, ordinary text joined across the borders.
function makePieces(random) {
  return Array.from({ length: random.between(1, 8) }, () => ({
    text: random.pick([
      () => random.pick(addedTokens),
      () => random.pick(addedTokens).slice(0, 4),
      () => random.pick(addedTokens).slice(4),
      () => makeFragment(random, random.pick(FRAGMENT_KINDS)),
      () => "",
    ])(),
    trusted: random.chance(0.5),
  }));
}

// The oracle for pieces: added tokens are looked for in joined neighbouring trusted pieces, by the
// oracle's own splitters; everything between them is one plain text.
function idsOfPieces(pieces) {
  const ids = [];
  let plain = "";
  const endPlain = () => {
    if (plain) ids.push(...idsOf(plainOracle, plain));
    plain = "";
  };
  const runs = [];
  for (const { text, trusted } of pieces) {
    if (trusted && runs.at(-1)?.trusted) runs.at(-1).text += text;
    else runs.push({ text, trusted });
  }
  for (const { text, trusted } of runs) {
    const parts = trusted
      ? oracle.splitter_unnormalized.split(text)
          .flatMap((part) => addedTokens.includes(part) ? [part]
            : oracle.splitter_normalized.split(part))
      : [text];
    for (const part of parts) {
      if (trusted && addedTokens.includes(part)) {
        endPlain();
        ids.push(oracle.token_to_id(part));
      } else {
        plain += part;
      }
    }
  }
  endPlain();
  return ids;
}

test("pieces: added tokens come from trusted text only, ordinary text is joined", async () => {
  const random = new Random(seed + 3);
  const all = Array.from({ length: 2_000 }, () => makePieces(random))
    .filter((pieces) => pieces.every(({ text }) => isShared(text)));
  const answers = await ask(all.map((pieces) => ({ op: "encode_pieces", pieces })));
  all.forEach((pieces, i) =>
    assertSameTokens(pieces.map(({ text }) => text).join(""), answers[i], idsOfPieces(pieces)));
});
