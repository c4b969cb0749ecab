import { describe, expect, it } from 'vitest'
import type { Group, Host, Offer, Overview, Settings } from './fleet'
import { come, concerns, counts, failures, fits, follows, goes, list, manner, room, steps, urgent } from './inventory'

const host = (name: string, h: Partial<Host> = {}): Host => ({ name, group: 'web', roles: ['base', 'web'], made: false, state: 'converged', generation: 1, tests: 0, failing: 0, seen: '', ...h })
const settings: Settings = { every: 3600e9, canary: 2, soak: 600e9, approve: true, replace: false, dead: 600e9, drill: 0 }
const group = (g: Partial<Group> = {}): Group => ({ name: 'web', good: 'a', candidate: 'b', phase: 'done', settings, hosts: 3, ...g })

describe('the filter', () => {
  const h = host('web-1', { owner: 'shop', environment: 'live', state: 'drifted', paused: { scope: 'host', person: 'ada', reason: 'x', since: '' }, security: 2 })
  it.each(['', 'web-1', 'WEB', 'shop', 'drift', 'base live', 'role:base', 'owner:sh', 'state:drifted is:paused', 'is:security environment:live', 'name:web-'])('%j finds it', (q) => expect(fits(h, q)).toBe(true))
  it.each(['web-2', 'web nothing', 'role:shop', 'owner:web', 'name:eb', 'is:unequal', 'state:converged web', 'unknown:web'])('%j does not', (q) => expect(fits(h, q)).toBe(false))
})

it('counts states, worst first, without what is gone', () => {
  const all = [host('a'), host('b', { state: 'waiting' }), host('c', { state: 'unreachable' }), host('d'), host('e', { state: 'failed', gone: true }), host('f', { state: 'drifted' })]
  expect(counts(all)).toEqual([['unreachable', 1], ['drifted', 1], ['waiting', 1], ['converged', 2]])
})

describe('what somebody should look at', () => {
  const overview = (hosts: Host[], groups: Group[]): Overview => ({ hosts, groups, pauses: null, unmanaged: null, habits: { visits: 0, unattended: 0, narrow: 0, around: 0, late: 0, paused_for: '', oldest_plan: '' } })
  it('is nothing while all is well', () => expect(concerns(overview([host('a')], [group(), group({ phase: 'canary' })]))).toEqual([]))
  it('leads to the one host, or to all', () => {
    expect(concerns(overview([host('a', { state: 'failed' }), host('b', { state: 'drifted' }), host('c', { state: 'drifted' })], [group({ phase: 'asking' }), group({ name: 'db', phase: 'failed' })]))).toEqual([
      { state: 'failed', text: '1 host failed', href: '/hosts/a' },
      { state: 'failed', text: 'db did not get its change', href: '/hosts/groups/db' },
      { state: 'asking', text: 'web waits for approval', href: '/hosts/groups/web' },
      { state: 'drifted', text: '2 hosts drifted', href: '/hosts?q=state:drifted' },
    ])
  })
  it('is also what broke by itself', () => {
    const erosion = (text: string) => [{ look: 'disks', findings: text ? [{ of: 'sda', kind: 'failing', text, since: '' }] : null }]
    expect(concerns(overview([host('a', { erosion: erosion('it fails') }), host('b', { erosion: erosion('') })], []))).toEqual([{ state: 'eroded', text: '1 host eroded', href: '/hosts/a' }])
    expect([erosion('it fails'), erosion('')].map((e) => fits(host('a', { erosion: e }), 'is:eroded'))).toEqual([true, false])
  })
  it('takes lists that are not there for empty ones', () => expect(concerns({ ...overview([], []), hosts: null, groups: null })).toEqual([]))
})

describe('the steps of a change', () => {
  const states = (g: Group) => steps(g).map((s) => `${s.name}: ${s.state}`)
  it('show how far it is', () => {
    expect(states(group({ phase: 'soaking' }))).toEqual(['plan: passed', 'approval: passed', '2 first hosts: passed', 'watched for 10 min: running', 'the others: pending', 'done: pending'])
    expect(states(group({ phase: 'asking' }))[1]).toBe('approval: waiting')
  })
  it('are only those that the group has', () => {
    expect(states(group({ phase: 'following', settings: { ...settings, canary: 0, approve: false } }))).toEqual(['all hosts: running', 'done: pending'])
    expect(states(group({ phase: 'canary', settings: { ...settings, soak: 0, approve: false } }))).toEqual(['2 first hosts: running', 'the others: pending', 'done: pending'])
  })
  it('are all over in the end', () => expect(steps(group()).every((s) => s.state === 'passed')).toBe(true))
})

it('counts the hosts of a group that have the change', () => {
  expect(follows(group(), [host('a', { commit: 'b' }), host('b', { commit: 'a' }), host('c', { commit: 'b', group: 'db' }), host('d', { commit: 'b', gone: true }), host('e', { commit: 'b', state: 'failed' })])).toEqual({ done: 1, of: 3 })
})

it('says how a group is kept', () => {
  expect(manner(settings)).toBe('visited every 60 min · changes go to 2 hosts first, watched for 10 min · somebody has to agree')
  expect(manner({ ...settings, every: 0, canary: 1, soak: 0, approve: false, drill: 7 * 86400e9 })).toBe('visited only when somebody asks · changes go to 1 host first · rebuilt for practice every 7 d')
  expect(manner({ ...settings, canary: 0, approve: false, within: 300e9, severity: 'page' })).toBe('visited every 60 min · made anew within 5 min · what goes wrong is at least a page')
})

describe('hosts of an entry that people decide about', () => {
  const offer = { entry: 'web', group: 'web', number: 2, least: 1, most: 5, removed: 'keep', teams: ['shop'], hosts: ['web-1', 'web-2'], may: true,
    loans: [{ name: 'web-x', entry: 'web', hosts: ['web-x-1', 'web-x-2'], until: '2026-11-26T20:00:00Z' }] } as Offer
  it('names those that come and go', () => {
    expect(come(offer, 4)).toEqual(['web-3', 'web-4'])
    expect(come(offer, 1)).toEqual([])
    expect(goes(offer, 1)).toEqual(['web-2'])
    expect(goes(offer, 3)).toEqual([])
  })
  it('counts those that are there for a time', () => {
    expect(room(offer)).toBe(1)
    expect(room({ ...offer, loans: null })).toBe(3)
  })
  it('lists no more than fit', () => {
    expect(list(['a', 'b', 'c'], 2)).toBe('a, b and 1 more')
    expect(list([])).toBe('')
  })
  it('offers the failures that a host can suffer', () => {
    expect(failures({ ways: ['stop', 'kill', 'cut'] } as Host).map(([k]) => k)).toEqual(['kill', 'cut'])
    expect(failures({} as Host)).toEqual([])
  })
})

it('puts the groups first that need somebody', () => {
  const groups = ['done', 'canary', 'asking', 'failed', 'done'].map((phase, i) => group({ name: `g${i}`, phase }))
  expect(urgent(groups).map((g) => g.name)).toEqual(['g3', 'g2', 'g1', 'g0', 'g4'])
})
