// What visits found or did: the same of several hosts is one.

import type { Change, History, Visit } from './fleet'
import { many, span } from './inventory'

export interface Plan { hosts: string[]; visit: Visit; changes: Change[] }

// newest is the latest plan of each host for a commit.
export function newest(visits: Visit[], commit: string): Visit[] {
  const by = new Map<string, Visit>()
  for (const v of visits) {
    if (v.kind !== 'plan' || v.commit !== commit) continue
    const has = by.get(v.host)
    if (!has || has.id < v.id) by.set(v.host, v)
  }
  return [...by.values()].sort((a, b) => a.host.localeCompare(b.host, undefined, { numeric: true }))
}

// equal puts plans together that say the same, whatever the places where they say it
// and the order, which hosts that work on several resources at once do not keep.
// Those that failed come first, then those of most hosts, then those that change nothing.
export function equal(visits: Visit[]): Plan[] {
  const by = new Map<string, Plan>()
  for (const v of visits) {
    const changes = v.changes ?? []
    const key = JSON.stringify([v.error ?? '', v.cut ?? 0, v.state === 'failed', changes.map((c) => JSON.stringify([c.ref, c.role ?? '', c.status, c.action ?? '', (c.fields ?? []).map((f) => [f.name, f.old ?? '', f.new ?? '', f.text ?? '']), c.why ?? ''])).sort()])
    const plan = by.get(key)
    if (plan) plan.hosts.push(v.host)
    else by.set(key, { hosts: [v.host], visit: v, changes })
  }
  const rank = (p: Plan) => (p.visit.state === 'failed' || p.visit.error ? 0 : p.changes.length ? 1 : 2)
  return [...by.values()].sort((a, b) => rank(a) - rank(b) || b.hosts.length - a.hosts.length)
}

// byRole keeps the order in which roles come; what belongs to none comes last.
export function byRole(changes: Change[]): [role: string, changes: Change[]][] {
  const by = new Map<string, Change[]>()
  for (const c of changes) by.set(c.role ?? '', [...(by.get(c.role ?? '') ?? []), c])
  return [...by].sort(([a], [b]) => Number(a === '') - Number(b === ''))
}

const words = ['failed', 'changed', 'planned', 'drifted', 'skipped', 'ok']

// tally is what a visit came to, in words; "" while nothing is known.
export function tally(counts: Record<string, number> | null | undefined): string {
  const rank = (k: string) => (words.indexOf(k) + words.length + 1) % (words.length + 1) // unknown ones last
  return Object.entries(counts ?? {}).filter(([, n]) => n > 0).sort(([a], [b]) => rank(a) - rank(b)).map(([k, n]) => `${n} ${k === 'ok' ? 'as declared' : k === 'planned' ? 'to change' : k}`).join(', ')
}

// past says how changes of a resource went before.
export function past(h: History): string {
  if (!h.changes) return 'never changed before'
  const times = h.changes === 1 ? 'once' : `${h.changes} times${h.changes >= 100 ? ' or more' : ''}`
  return `changed ${times} before on ${many(h.hosts, 'host')}, ${h.failed || 'none'} failed${(h.took ?? 0) >= 1e6 ? `, takes ${span(h.took ?? 0)}` : ''}`
}

const kinds: Record<string, string> = { plan: 'compared', converge: 'converged', heal: 'healed', rebuild: 'rebuilt', rollback: 'rolled back', stop: 'stopped', start: 'started', restart: 'restarted', kill: 'killed', freeze: 'frozen', cut: 'cut off', destroy: 'destroyed' }
const causes: Record<string, string> = {
  schedule: 'on schedule', change: 'the definitions changed', back: 'back to the good ones', drift: 'it had drifted', entered: 'somebody was on it', dead: 'it was dead', drill: 'for practice', person: 'asked for',
}
// compares tells whether a visit looks at what the definitions say; to stop a host does not.
export const compares = (v: Visit) => !['stop', 'kill', 'freeze', 'cut', 'destroy'].includes(v.kind)
export const kindWord = (v: Visit) => kinds[v.kind] ?? v.kind
// why says why a visit was made: in somebody's words, or by the rule.
export const why = (v: Visit) => (v.cause === 'person' ? `${v.actor}${v.reason ? `: ${v.reason}` : ' asked for it'}` : (causes[v.cause] ?? v.cause))

export interface Line { text: string; kind: 'add' | 'del' | 'at' | 'same' }

// lines are those of a unified diff.
export const lines = (diff: string): Line[] => diff.replace(/\n$/, '').split('\n').map((text) => ({
  text, kind: /^(---|\+\+\+|@@|diff )/.test(text) ? 'at' : text.startsWith('+') ? 'add' : text.startsWith('-') ? 'del' : 'same',
}))
