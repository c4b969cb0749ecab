// Where in a target the caret stands: what is being written, and within which
// call. Completion and hints are made from it.

export interface Place {
  kind: 'word' | 'text' // a path, function or number, or something in quotes
  start: number; end: number // of what is being written
  typed: string // the part before the caret
  call?: Call
}

export interface Call { name: string; argument: number; keyword?: string; start: number } // start: behind its bracket

const ends = '(),|"\' \t\r\n'

export function place(text: string, caret: number): Place {
  const calls: Call[] = []
  let start = 0, braces = 0, quote = ''
  for (let i = 0; i < caret; i++) {
    const c = text[i]!
    if (quote) {
      if (c === '\\') i++
      else if (c === quote) { quote = ''; start = i + 1 }
    } else if (c === '\\') i++
    else if (c === '"' || c === "'") { quote = c; start = i + 1 }
    else if (c === '{') braces++
    else if (c === '}') braces = Math.max(0, braces - 1)
    else if (braces > 0 && c === ',') continue
    else if (c === '=' && calls.length && /^\s*\w+$/.test(text.slice(start, i))) { calls.at(-1)!.keyword = text.slice(start, i).trim(); start = i + 1 }
    else if (ends.includes(c)) {
      if (c === '(') calls.push({ name: text.slice(start, i).trim(), argument: 0, start: i + 1 })
      if (c === ',' && calls.length) { calls.at(-1)!.argument++; delete calls.at(-1)!.keyword }
      if (c === ')') calls.pop()
      start = i + 1
      braces = 0
    }
  }
  start = Math.min(start, caret)
  let end = caret
  const stop = quote || ends + '=' // up to the end of the word
  while (end < text.length && !stop.includes(text[end]!)) end++
  return { kind: quote ? 'text' : 'word', start, end, typed: text.slice(start, caret), call: calls.at(-1) }
}

// put replaces what is being written and returns the caret behind it. A text is
// closed where nothing more belongs into it.
export function put(text: string, p: Place, by: string, more: boolean): { text: string; caret: number } {
  let tail = text.slice(p.end)
  if (p.kind === 'text' && !more) {
    const quote = text[p.start - 1]!
    by += quote
    if (tail.startsWith(quote)) tail = tail.slice(1)
  }
  if (by.endsWith('(') && tail.startsWith('(')) tail = tail.slice(1)
  return { text: text.slice(0, p.start) + by + tail, caret: p.start + by.length }
}

// mistake is the place that an error of the server names, as an index into the
// target, and what it says about it. The two lines with the caret are left out.
export function mistake(target: string, message: string): { at: number | undefined; text: string } {
  const first = message.split('\n', 1)[0]!
  const found = /^(?:parse|evaluate) target ".*" at character (\d+): (.*)$/.exec(first)
  if (!found) return { at: undefined, text: message }
  // Characters are counted, not the units of UTF-16.
  const before = [...target].slice(0, Number(found[1]) - 1).join('')
  return { at: before.length, text: found[2]! }
}
