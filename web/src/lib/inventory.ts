// The list of hosts: what is looked for in it, and what it comes to.

import { duration } from './format'
import type { Group, Host, Offer, Overview, Settings } from './fleet'

// flags are what a host is besides its state; "is:paused" finds them.
export function flags(h: Host): string[] {
  return [
    h.paused ? 'paused' : '', h.unequal?.length ? 'unequal' : '', h.security ? 'security' : '', h.reboot ? 'reboot' : '',
    h.failing ? 'failing' : '', h.erosion?.some((e) => e.findings?.length) ? 'eroded' : '', h.gone ? 'gone' : '', h.running ? 'visited' : '',
    h.no_login ? 'nologin' : '', h.touched ? 'touched' : '',
  ].filter(Boolean)
}

const parts: Record<string, (h: Host) => (string | undefined)[]> = {
  name: (h) => [h.name], group: (h) => [h.group], role: (h) => h.roles ?? [], owner: (h) => [h.owner],
  environment: (h) => [h.environment], state: (h) => [h.state], is: flags,
}

// fits tells whether a host has every word of a filter: "web role:db state:failed".
// A word without a key may stand anywhere; behind a key the value has to begin so.
export function fits(h: Host, filter: string): boolean {
  return filter.toLowerCase().split(/\s+/).filter(Boolean).every((word) => {
    const [, key = '', value = ''] = /^(\w+):(.*)$/.exec(word) ?? []
    const of = parts[key]
    if (of) return of(h).some((v) => v?.toLowerCase().startsWith(value))
    return Object.values(parts).some((p) => p(h).some((v) => v?.toLowerCase().includes(word)))
  })
}

// order is from what needs somebody most to what needs nobody.
const order = ['unreachable', 'failed', 'drifted', 'waiting', 'stopped', 'converged']

// counts are how many hosts are in each state, worst first.
export function counts(hosts: Host[]): [state: string, n: number][] {
  const n = new Map<string, number>()
  for (const h of hosts) if (!h.gone) n.set(h.state, (n.get(h.state) ?? 0) + 1)
  return [...n].sort(([a], [b]) => order.indexOf(a) - order.indexOf(b))
}

// look is the sign of a host's state: one that was never visited is not in trouble.
export const look = (state: string) => (state === 'waiting' ? 'new' : state)
export const word = (state: string) => (state === 'waiting' ? 'not converged yet' : state)

export const many = (n: number, one: string, more = one + 's') => `${n} ${n === 1 ? one : more}`

export interface Concern { state: string; text: string; href: string }

// concerns are what somebody should look at, worst first.
export function concerns(o: Overview): Concern[] {
  const of = (state: string, text: (n: number) => string): Concern[] => {
    const all = (o.hosts ?? []).filter((h) => h.state === state && !h.gone)
    return all.length ? [{ state, text: text(all.length), href: all.length === 1 ? `/hosts/${encodeURIComponent(all[0]!.name)}` : `/hosts?q=state:${state}` }] : []
  }
  const groups = (phase: string, text: string): Concern[] =>
    (o.groups ?? []).filter((g) => g.phase === phase).map((g) => ({ state: phase, text: `${g.name} ${text}`, href: `/hosts/groups/${encodeURIComponent(g.name)}` }))
  const worn = (o.hosts ?? []).filter((h) => h.erosion?.some((e) => e.findings?.length) && !h.gone)
  const eroded: Concern[] = worn.length ? [{ state: 'eroded', text: `${many(worn.length, 'host')} eroded`, href: worn.length === 1 ? `/hosts/${encodeURIComponent(worn[0]!.name)}` : '/hosts?q=is:eroded' }] : []
  return [
    ...of('unreachable', (n) => `${many(n, 'host')} cannot be reached`), ...of('failed', (n) => `${many(n, 'host')} failed`),
    ...eroded, ...groups('failed', 'did not get its change'), ...groups('asking', 'waits for approval'), ...of('drifted', (n) => `${many(n, 'host')} drifted`),
  ]
}

// failures are the ways in which a host can be stopped as a failure would, of those that
// what makes it knows.
export const failures = (h: Host): [kind: 'kill' | 'freeze' | 'cut', text: string][] =>
  ([['kill', 'kill: it is off at once'], ['freeze', 'freeze: it is there, and does nothing'], ['cut', 'cut: it goes on without a network']] as ['kill' | 'freeze' | 'cut', string][])
    .filter(([kind]) => h.ways?.includes(kind))

// goes are the hosts that go when there are fewer: those with the highest numbers.
export function goes(o: Offer, number: number): string[] { return (o.hosts ?? []).slice(number) }

// come are the names of those that are made when there are more.
export function come(o: Offer, number: number): string[] {
  return Array.from({ length: Math.max(0, number - o.number) }, (_, i) => `${o.entry}-${o.number + i + 1}`)
}

// room is how many more there may be.
export const room = (o: Offer) => o.most - o.number - (o.loans ?? []).reduce((n, l) => n + (l.hosts?.length ?? 0), 0)

export function list(names: string[], most = 6): string {
  return names.slice(0, most).join(', ') + (names.length > most ? ` and ${names.length - most} more` : '')
}

// urgent puts the groups first that need somebody, then those on their way, then the rest.
export function urgent(groups: Group[]): Group[] {
  const rank = (g: Group) => (g.phase === 'failed' ? 0 : g.phase === 'asking' ? 1 : g.phase === 'done' ? 3 : 2)
  return [...groups].sort((a, b) => rank(a) - rank(b))
}

const phases: Record<string, string> = {
  planning: 'being planned', asking: 'waits for approval', canary: 'on its first hosts', soaking: 'first hosts are watched',
  following: 'on its way to the others', failed: 'failed', done: 'done',
}
export const phase = (g: Group) => phases[g.phase] ?? g.phase

export interface Step { name: string; state: 'passed' | 'running' | 'waiting' | 'pending' }

// steps is the way of a group's change, and how far it is. A change that failed has
// no step any more: its reason says where it ended.
export function steps(g: Group): Step[] {
  const s = g.settings
  const way: [phase: string, name: string][] = [
    ...(s.approve ? [['planning', 'plan'], ['asking', 'approval']] as [string, string][] : []),
    ...(s.canary > 0 ? [['canary', many(s.canary, 'first host')], ...(s.soak > 0 ? [['soaking', `watched for ${span(s.soak)}`]] : [])] as [string, string][] : []),
    ['following', s.canary > 0 ? 'the others' : 'all hosts'], ['done', 'done'],
  ]
  const at = way.findIndex(([p]) => p === g.phase)
  return way.map(([p, name], i) => ({ name, state: g.phase === 'done' || i < at ? 'passed' : i > at ? 'pending' : p === 'asking' ? 'waiting' : 'running' }))
}

// follows are how many of a group's hosts have the commit that is on its way, and are
// well with it.
export function follows(g: Group, hosts: Host[]): { done: number; of: number } {
  const own = hosts.filter((h) => h.group === g.name && !h.gone)
  return { done: own.filter((h) => h.commit === g.candidate && h.state !== 'failed').length, of: own.length }
}

export const span = (ns: number) => duration(ns / 1e9)

// manner is how a group is converged, in a line.
export function manner(s: Settings): string {
  return [
    s.every ? `visited every ${span(s.every)}` : 'visited only when somebody asks', s.canary ? `changes go to ${many(s.canary, 'host')} first${s.soak ? `, watched for ${span(s.soak)}` : ''}` : '',
    s.approve ? 'somebody has to agree' : '', s.replace ? `made anew after ${span(s.dead)} of silence` : '', s.drill ? `rebuilt for practice every ${span(s.drill)}` : '',
    s.within ? `made anew within ${span(s.within)}` : '', s.severity ? `what goes wrong is at least a ${s.severity}` : '',
  ].filter(Boolean).join(' · ')
}
