// The functions of the Graphite language as /functions documents them, and calls
// made of them.

export interface Param {
  name: string; type: string; required?: boolean; multiple?: boolean
  default?: string | number | boolean; options?: string[]; description?: string
}

export interface Fn { name: string; function: string; description: string; group: string; params: Param[] }

// takesSeries tells whether the function works on series; others make them.
export const takesSeries = (f: Fn): boolean => /^seriesLists?$/.test(f.params[0]?.type ?? '')

// own are the parameters that a person fills in: all but the series wrapped.
export const own = (f: Fn): Param[] => (takesSeries(f) ? f.params.slice(1) : f.params)

export interface Group { name: string; functions: Fn[] }

// search finds functions that have all words in name, description or group;
// those whose name begins with the text come first.
export function search(all: Fn[], text: string): Group[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean)
  const rank = (f: Fn) => {
    const name = f.name.toLowerCase()
    if (words.length === 0) return 0
    return name === words[0] ? 0 : name.startsWith(words[0]!) ? 1 : name.includes(words[0]!) ? 2 : 3
  }
  const found = all.filter((f) => { const whole = `${f.name} ${f.description} ${f.group}`.toLowerCase(); return words.every((w) => whole.includes(w)) })
  const groups = new Map<string, Fn[]>()
  for (const f of found.toSorted((a, b) => rank(a) - rank(b) || a.group.localeCompare(b.group) || a.name.localeCompare(b.name))) {
    groups.set(f.group, [...(groups.get(f.group) ?? []), f])
  }
  return [...groups].map(([name, functions]) => ({ name, functions }))
}

// write is a value as the language wants it for a parameter.
export function write(p: Param, value: string): string {
  const text = value.trim()
  const quote = (s: string) => (/^(["']).*\1$/.test(s) ? s : s.includes('"') ? `'${s}'` : `"${s}"`)
  if (p.multiple) return text.split(',').map((part) => write({ ...p, multiple: false }, part)).join(',')
  switch (p.type) {
    case 'string': case 'interval': case 'date': case 'tag': case 'aggFunc': case 'aggOrSeriesFunc': return quote(text)
    case 'intOrInterval': case 'nodeOrTag': case 'any': return /^-?\d+(\.\d+)?$|^(true|false|none)$/i.test(text) || (p.type === 'any' && /[.(]/.test(text)) ? text : quote(text)
  }
  return text
}

// wrong says what is wrong with a value, or ''.
export function wrong(p: Param, value: string): string {
  const text = value.trim()
  if (text === '') return p.required ? 'is needed' : ''
  const parts = p.multiple ? text.split(',').map((s) => s.trim()) : [text]
  const all = (pattern: RegExp) => parts.every((s) => pattern.test(s))
  switch (p.type) {
    case 'integer': case 'node': return all(/^-?\d+$/) ? '' : 'is a whole number'
    case 'float': return all(/^-?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i) ? '' : 'is a number'
    case 'intOrInf': return all(/^\d+$|^inf$/i) ? '' : 'is a whole number or inf'
    case 'interval': return all(/^["']?[-+]?\d+[a-z]+([-+]?\d+[a-z]+)*["']?$/i) ? '' : 'is a time such as 5min, 1h or 7d'
    case 'intOrInterval': return all(/^["']?-?\d+([a-z]+(\d+[a-z]+)*)?["']?$/i) ? '' : 'is a number of points or a time such as 5min'
  }
  return ''
}

// call writes the function around a target. Values as by default are left out;
// what follows one that is left out is named.
export function call(f: Fn, target: string, values: Record<string, string>): string {
  const args: string[] = takesSeries(f) ? [target] : []
  let skipped: Param[] = []
  for (const p of own(f)) {
    const value = (values[p.name] ?? '').trim()
    if (value === '' || (p.default !== undefined && value === String(p.default))) { skipped.push(p); continue }
    if (skipped.length && p.multiple) { // what repeats has no name: the place of others is kept
      args.push(...skipped.map((s) => (s.default === undefined ? 'None' : write(s, String(s.default)))))
      skipped = []
    }
    args.push((skipped.length ? p.name + '=' : '') + write(p, value))
  }
  return `${f.name}(${args.join(',')})`
}

// secondAxis puts a target on the axis at the right, or takes it back.
export const rightAxis = (target: string): boolean => /^\s*secondYAxis\s*\(/.test(target)
export function secondAxis(target: string): string {
  const inner = /^\s*secondYAxis\s*\(([^]*)\)\s*$/.exec(target)
  return inner ? inner[1]! : `secondYAxis(${target})`
}
