// JSON schemas of the keywords that are supported, drawn from a seed.

export function randomness(seed) {
  let state = seed >>> 0;
  const next = () => { // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return (x ^ (x >>> 14)) >>> 0;
  };
  const below = (n) => next() % n;
  return { below, chance: (percent) => below(100) < percent, pick: (list) => list[below(list.length)] };
}

const WORDS = ["id", "name", "größe", "a b", "x\"y", "tags", "note", "Ort", "価格", "ok", "n", "when"];
const PATTERNS = ["^[a-z]{2,8}$", "^\\d{3}-\\d{4}$", "^(yes|no)$", "[A-Z]", "^[^\\s]+$", "^#[0-9a-f]{6}$"];
const FORMATS = ["date", "time", "date-time", "uuid", "ipv4", "email"];

function string(random) {
  const schema = { type: "string" };
  const kind = random.below(5);
  if (kind === 0) schema.pattern = random.pick(PATTERNS);
  if (kind === 1) schema.format = random.pick(FORMATS);
  if (kind === 2) schema.minLength = random.below(4);
  if (kind === 2 || kind === 3) schema.maxLength = 4 + random.below(20);
  return schema;
}

function number(random) {
  const schema = { type: random.pick(["integer", "integer", "number"]) };
  if (random.chance(60)) schema.minimum = random.below(200) - 100;
  if (random.chance(60)) schema.maximum = (schema.minimum ?? 0) + 1 + random.below(1000);
  if (schema.type === "integer" && random.chance(20)) {
    schema.multipleOf = 1 + random.below(9);
    schema.maximum = (schema.minimum ?? 0) + 50;
  }
  return schema;
}

function array(random, depth) {
  const schema = { type: "array", items: value(random, depth - 1), maxItems: 1 + random.below(4) };
  if (random.chance(40)) schema.minItems = random.below(schema.maxItems + 1);
  if (random.chance(15)) {
    schema.prefixItems = [value(random, depth - 1)];
    schema.items = random.chance(50) ? false : schema.items;
    if (schema.items === false) { delete schema.minItems; delete schema.maxItems; }
  }
  return schema;
}

export function object(random, depth) {
  const names = WORDS.filter(() => random.chance(30)).slice(0, 5);
  const schema = { type: "object", properties: {} };
  for (const name of names) schema.properties[name] = value(random, depth - 1);
  schema.required = names.filter(() => random.chance(70));
  if (random.chance(60)) schema.additionalProperties = false;
  else if (random.chance(30)) {
    schema.additionalProperties = scalar(random);
    schema.maxProperties = names.length + 2;
  }
  return schema;
}

function scalar(random) {
  switch (random.below(6)) {
    case 0: return { enum: [random.pick(WORDS), random.below(9), null, true].slice(random.below(3)) };
    case 1: return { const: random.pick([random.pick(WORDS), 7, false, { k: [1] }]) };
    case 2: return { type: ["boolean", "null"] };
    case 3: return number(random);
    default: return string(random);
  }
}

function value(random, depth) {
  if (depth <= 0) return scalar(random);
  switch (random.below(8)) {
    case 0: return { anyOf: [scalar(random), object(random, depth - 1)] };
    case 1: case 2: return array(random, depth);
    case 3: case 4: return object(random, depth);
    default: return scalar(random);
  }
}

export function randomSchema(seed) {
  const random = randomness(seed);
  const schema = random.chance(80) ? object(random, 3) : value(random, 2);
  if (schema.type === "object" && random.chance(20)) { // a tree
    schema.$defs = { node: { type: "object", additionalProperties: false, required: ["v"],
      properties: { v: scalar(random), kids: { type: "array", maxItems: 2,
        items: { $ref: "#/$defs/node" } } } } };
    schema.properties.tree = { $ref: "#/$defs/node" };
  }
  return schema;
}
