// Prints grammars made to be as ambiguous as they can be, as grammar_bench reads them:
//   node ambiguous.mjs > grammars.json
const letters = [...'abcdefghijklmnopqrstuvwxyz'];
const upTo = (count, part) => Array.from({length: count}, (_, i) => part(i));
const any = (alternatives) => alternatives.join(' | ');
const rules = (lines) => lines.join('\n') + '\n';

// One rule that many others call at the same place, each of which goes on in its own way.
const callers = (count, callee) => rules([
  `root ::= ${any(upTo(count, (i) => `r${i}`))}`,
  ...upTo(count, (i) => `r${i} ::= "a" x "_${i}"`),
  ...callee,
]);
const byLetter = [
  `x ::= ${any(letters.map((c) => `"${c}" | "${c}" x${c}`))}`,
  ...letters.map((c) => `x${c} ::= x "${c}"?`),
];
const letter = (i) => letters[i % 26];

const grammars = {
  '1000 callers, one class': callers(1000, ['x ::= [a-z] | [a-z] x "q"']),
  '1000 callers, by letter': callers(1000, byLetter),
  '200 callers, by letter': callers(200, byLetter),
  '30 callers, by letter': callers(30, byLetter),
  'any tree of one letter': 'root ::= "a" | "a" root | "a" root root | "a" root root root\n',
  'any tree of letters': 'root ::= [a-z] | [a-z] root | [a-z] root root | [a-z] root root root\n',
  'any tree, a rule a letter': rules([
    `root ::= ${any(letters.map((c) => `k${c}`))}`,
    ...letters.map((c) => `k${c} ::= "${c}" | "${c}" root root | "${c}" k${c} root "${c}"?`),
  ]),
  palindromes: `root ::= [ -~] | ${any([...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ .,()=']
    .map((c) => `"${c}" root "${c}"`))}\n`,
  'texts of 300 rules': rules([
    `root ::= (${any(upTo(300, (i) => `r${i}`))})+`,
    ...upTo(300, (i) => `r${i} ::= [a-z ]+ "${i}"`),
  ]),
  'letters of 300 rules': rules([
    `root ::= (${any(upTo(300, (i) => `r${i}`))})+`,
    ...upTo(300, (i) =>
      `r${i} ::= [${letter(i)}${letter(i * 7)}${letter(i * 11 + 3)} ] r${(i * 31 + 7) % 300}? "${i}"?`),
  ]),
  'a chain of 200 rules': rules([
    'root ::= c0',
    ...upTo(200, (i) => `c${i} ::= [a-z] c${i + 1}? | c${i + 1} "${letter(i)}"?`),
    'c200 ::= [a-z ]+',
  ]),
  'a chain that calls twice': rules([
    'root ::= c0+',
    ...upTo(60, (i) => `c${i} ::= c${i + 1} c${i + 1}? "${letter(i)}"?`),
    'c60 ::= [a-z ]',
  ]),
  'parts that may be missing': rules([
    `root ::= ${upTo(120, (i) => `p${i}?`).join(' ')} "."`,
    ...upTo(120, (i) => `p${i} ::= [a-z ]+ "${i}"?`),
  ]),
  'letters that may come back': rules([
    'root ::= s " " s',
    `s ::= ${any(letters.map((c) => `"${c}" s? [${c}${c.toUpperCase()}]?`))}`,
  ]),
};
console.log(JSON.stringify(Object.entries(grammars).map(([name, ebnf]) => ({name, ebnf}))));
