// What kinds of events there are, for people: how bad one is, whether it is a
// step or a turning point, and what it is called on a chart.

import type { Event } from './records'

export type Tone = 'ok' | 'warn' | 'bad' | 'plain'

const failed = (e: Pick<Event, 'data'>) => /^(failure|error)$/.test(String((e.data as { outcome?: string } | undefined)?.outcome ?? ''))

export const tone = (e: Pick<Event, 'type' | 'data'>): Tone =>
  failed(e) || /incident\.detected|deploy\.failed|node\.died|notification\.failed|host\.(failed|unreachable)|group\.failed/.test(e.type) ? 'bad'
  : /rolledback|rollback\.declined|pinned|approval\.created|placement\.held|host\.(drifted|eroded|paused)|group\.(asks|refused)|incident\.(left|returned)/.test(e.type) ? 'warn'
  : /service\.deployed|service\.upgraded|incident\.(resolved|improved)|host\.(converged|rebuilt)|group\.follows/.test(e.type) ? 'ok' : 'plain'

// step tells whether an event only is a step on the way to a later one of the
// same chain; a chain reads well without its steps.
export const step = (e: Pick<Event, 'type'>): boolean =>
  /pipelinerun\.(queued|started)|taskrun\.|check\.changed|deploy\.started|node\.(started|stopped)|artifact\.packaged|host\.asked/.test(e.type)

// worthReason: reasons of what Steer did as planned say nothing new, and a
// commit's is its message.
export const worthReason = (e: Event): boolean =>
  !!e.reason && !/change\.merged/.test(e.type) && !e.summary.includes(e.reason) && (tone(e) === 'bad' || tone(e) === 'warn' || e.actor !== 'steer')

// said is a reason without its first line where the summary has that already, as it
// has of a commit's message.
export function said(e: Event): string {
  if (!worthReason(e)) return ''
  const [first = '', ...rest] = (e.reason ?? '').split('\n')
  return first && e.summary.includes(first) ? rest.join('\n').trim() : (e.reason ?? '')
}

const cd = (name: string) => `dev.cdevents.${name}`
const own = (name: string) => `dev.cdeventsx.steer-${name}.0.1.0`

export interface Kind { key: string; name: string; types: string[] }

export const kinds: Kind[] = [
  { key: 'deploys', name: 'deploys and rollbacks', types: [cd('service.deployed.0.3.0'), cd('service.upgraded.0.3.0'), cd('service.rolledback.0.3.0'), own('deploy.failed'), own('rollback.declined'), own('version.pinned'), own('version.freed'), own('placement.held'), own('placement.released')] },
  { key: 'builds', name: 'commits and builds', types: [cd('change.merged.0.3.0'), cd('pipelinerun.finished.0.3.0'), cd('artifact.packaged.0.3.0'), cd('approval.created.0.1.0'), cd('approval.closed.0.1.0')] },
  { key: 'incidents', name: 'checks and incidents', types: [own('check.changed'), cd('incident.detected.0.3.0'), own('incident.acknowledged'), cd('incident.resolved.0.3.0'), ...['learned', 'doubted', 'waived', 'improved', 'left', 'returned'].map((n) => own(`incident.${n}`))] },
  { key: 'notifications', name: 'notifications', types: [own('notification.sent'), own('notification.failed')] },
  { key: 'nodes', name: 'nodes', types: [own('node.started'), own('node.stopped'), own('node.died')] },
  { key: 'hosts', name: 'hosts', types: [...['asked', 'converged', 'changed', 'drifted', 'eroded', 'failed', 'unreachable', 'rebuilt', 'rolledback', 'accepted', 'paused', 'resumed', 'stopped', 'started', 'destroyed', 'ends'].map((n) => own(`host.${n}`)), ...['begins', 'asks', 'approved', 'refused', 'failed', 'follows'].map((n) => own(`group.${n}`))] },
  { key: 'server', name: 'definitions, access, server', types: [own('definitions.changed'), own('token.created'), own('token.revoked'), own('server.started'), own('server.stopped')] },
]

// markTypes are the events that a chart shows.
export const markTypes = ['service.deployed', 'service.upgraded', 'service.rolledback', 'incident.detected', 'incident.resolved'].map((t) => cd(`${t}.0.3.0`))

// relevant leaves out what happened in other environments, or to other services,
// than those that all targets name.
export function relevant(marks: Event[], targets: string[]): Event[] {
  const words = targets.map((t) => new Set(t.split(/[^\w-]+/)))
  const named = (of: (e: Event) => string | undefined) => {
    const all = new Set(marks.map(of).filter((n): n is string => !!n))
    const found = [...all].filter((n) => words.length > 0 && words.every((w) => w.has(n)))
    return (e: Event) => found.length === 0 || !of(e) || found.includes(of(e)!)
  }
  const service = named((e) => e.service), environment = named((e) => e.environment)
  return marks.filter((e) => service(e) && environment(e))
}

// markText names an event on a chart; the service and the environment are left
// out where they are the same for all.
export function markText(e: Event, all: Event[]): string {
  const several = (f: (x: Event) => string | undefined) => new Set(all.map(f)).size > 1
  const number = e.subject.startsWith('incident/') ? ` ${e.subject.slice('incident/'.length)}` : ''
  const what = /incident\.detected/.test(e.type) ? `incident${number}`
    : /incident\.resolved/.test(e.type) ? `incident${number} over`
    : /rolledback/.test(e.type) ? `back to ${e.version ?? ''}` : (e.version ?? '')
  if (/incident/.test(e.type)) return what
  return [several((x) => x.service) ? e.service : '', what, several((x) => x.environment) && e.environment ? `in ${e.environment}` : ''].filter(Boolean).join(' ')
}
