// What can be written at a place of a target.

import type { Fn, Param } from './functions'
import type { Place } from './place'

export interface Choice {
  text: string // as it is listed
  insert: string
  note: string
  more: boolean // something follows, so go on completing
}

// parameter is the one that stands at a place.
export function parameter(f: Fn | undefined, p: Place): Param | undefined {
  if (!f || !p.call) return undefined
  if (p.call.keyword) return f.params.find((x) => x.name === p.call!.keyword)
  return f.params[p.call.argument] ?? (f.params.at(-1)?.multiple ? f.params.at(-1) : undefined)
}

const wantsSeries = (param: Param | undefined) => !param || /^seriesLists?$|^any$/.test(param.type)

// names is the pattern to ask /metrics/find for, or '' where no name can stand.
export function names(p: Place, param: Param | undefined): string {
  if (p.kind !== 'word' || (p.call && !wantsSeries(param)) || /^-?\d+$/.test(p.typed)) return ''
  return p.typed + '*'
}

export interface Node { path?: string; name: string; is_leaf?: string }

// paths are the nodes that /metrics/find found. Globs that stand before stay.
export function paths(p: Place, found: Node[]): Choice[] {
  const before = p.typed.slice(0, p.typed.lastIndexOf('.') + 1)
  const glob = /[*?[{]/.test(before)
  const texts = new Map<string, boolean>()
  for (const n of found) {
    const leaf = n.is_leaf === '1'
    const text = glob ? before + n.name + (leaf ? '' : '.') : (n.path ?? '')
    if (text && text !== p.typed) texts.set(text, leaf)
  }
  return [...texts].slice(0, 60).map(([text, leaf]) => ({ text, insert: text, note: '', more: !leaf }))
}

// functions whose names begin with what is typed, then those that have it.
export function functions(all: Fn[], p: Place, param: Param | undefined): Choice[] {
  const typed = p.typed.trim().toLowerCase()
  if (p.kind !== 'word' || typed === '' || /[^\w]/.test(typed) || (p.call && !wantsSeries(param))) return []
  const has = all.filter((f) => f.name.toLowerCase().includes(typed))
  const begins = (f: Fn) => Number(!f.name.toLowerCase().startsWith(typed))
  return has.toSorted((a, b) => begins(a) - begins(b) || a.name.length - b.name.length).slice(0, 8)
    .map((f) => ({ text: f.name, insert: f.name + '(', note: f.description, more: true }))
}

// values are what a parameter takes, where they are few or customary.
export function values(p: Place, param: Param | undefined): Choice[] {
  if (!param) return []
  const usual = param.options ?? (param.type === 'date' ? ['-1h', '-1d', 'midnight', 'noon'] : /^(interval|intOrInterval)$/.test(param.type) ? ['1min', '5min', '15min', '1h', '6h', '1d', '7d'] : param.type === 'boolean' ? ['true', 'false'] : [])
  const quoted = /^(string|interval|intOrInterval|date|aggFunc|aggOrSeriesFunc)$/.test(param.type)
  const typed = p.typed.trim().toLowerCase()
  return usual.filter((v) => v.toLowerCase().startsWith(typed) && v.toLowerCase() !== typed).slice(0, 30)
    .map((v) => ({ text: v, insert: p.kind === 'word' && quoted ? `"${v}"` : v, note: '', more: false }))
}

// tags is the address that tells tags, or values of one, for a place where they
// are written: in the expressions of seriesByTag, or where a function takes tags.
export function tags(text: string, p: Place, param: Param | undefined): { address: string; insert: (name: string) => string; more: boolean } | undefined {
  const most = '&limit=60'
  if (p.call?.name === 'seriesByTag' && p.kind === 'text') {
    const [, name = '', operator, prefix = ''] = /^([^!=~;]*)(!=~|!=|=~|=)?(.*)$/.exec(p.typed) ?? []
    const others = [...text.slice(p.call.start, p.start - 1).matchAll(/"([^"]+)"|'([^']+)'/g)].map((m) => '&expr=' + encodeURIComponent(m[1] ?? m[2]!)).join('')
    return operator
      ? { address: `/tags/autoComplete/values?tag=${encodeURIComponent(name)}&valuePrefix=${encodeURIComponent(prefix)}${others}${most}`, insert: (v) => name + operator + v, more: false }
      : { address: `/tags/autoComplete/tags?tagPrefix=${encodeURIComponent(name)}${others}${most}`, insert: (t) => t + '=', more: true }
  }
  if (!param || !/^(tag|nodeOrTag)$/.test(param.type) || /^-?\d/.test(p.typed)) return undefined
  return { address: `/tags/autoComplete/tags?tagPrefix=${encodeURIComponent(p.typed)}${most}`, insert: (t) => (p.kind === 'text' ? t : `"${t}"`), more: false }
}
