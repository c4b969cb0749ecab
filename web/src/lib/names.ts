// Globs that find names.

// patterns are those for what a person typed: a glob or path as it is, words
// "cat ttfb" for names that have them in this order, each in a part of its own.
export function patterns(text: string): string[] {
  if (/[*.?[{]/.test(text)) return [text + (text.endsWith('*') ? '' : '*')]
  const parts = text.split(/\s+/).map((w) => `**.*${w}*`).join('.')
  return [parts, parts + '.**'] // the last word in the last part, or further up
}
