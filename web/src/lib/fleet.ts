// The records of /api/v1/fleet: hosts, and what was done to them.

export interface Pause { scope: 'all' | 'group' | 'host'; name?: string; person: string; reason: string; since: string; until?: string; stopped?: boolean }

export interface Host {
  name: string; group: string; owner?: string; environment?: string; roles: string[] | null; made: boolean
  state: string; error?: string; severity?: string; commit?: string; hash?: string; generation: number; facts?: Facts | null
  updates?: number; security?: number; reboot?: boolean; tests: number; failing: number
  seen: string; rebuilt?: string; rebuild?: number; contact?: string; visited?: string; converged?: string; silent?: string
  entry?: string; ways?: string[] | null; until?: string; requested_by?: string; why?: string
  immutable?: boolean; no_login?: boolean; touched?: { by: string; at: string; reason: string } | null
  gone?: boolean; paused?: Pause | null; next?: string; running?: number; drifts?: number; unequal?: string[] | null
  erosion?: Erosion[] | null
}

// Erosion is what one look found that broke or wore out by itself.
export interface Erosion { look: string; findings?: Breakdown[] | null; note?: string; off?: string; error?: string; severity?: string }
export interface Breakdown { of: string; kind: string; text: string; since: string }

export interface Facts {
  name?: string; fqdn?: string; os?: { name?: string }; kernel?: string; arch?: string; cpus?: number; memory?: number
  addresses?: string[] | null; init?: string; packages?: string; container?: boolean
}

// Times of settings are in nanoseconds.
export interface Settings { every: number; canary: number; soak: number; approve: boolean; replace: boolean; dead: number; drill: number; within?: number; severity?: string }

export interface Group {
  name: string; good: string; candidate: string; phase: string; since?: string; reason?: string; by?: string
  drilled?: string; repaired?: string; settings: Settings; hosts: number; paused?: Pause | null
}

export interface Field { name: string; old?: string; new?: string; text?: string }
export interface Change {
  ref: string; role?: string; place?: string; status: string; action?: string; fields?: Field[] | null; why?: string; drift?: boolean
  took?: number; history?: History | null
}
// How changes of a resource went before, of a plan's changes.
export interface History {
  changes: number; failed: number; hosts: number; took?: number; last?: string; visit?: number; incidents?: number[] | null
}
export interface Test { name: string; status: string; found?: string; severity?: string; repair?: string[] | null }

export interface Visit {
  id: number; host: string; group: string; kind: string; cause: string; state: string; commit?: string; refs?: string[] | null
  actor: string; reason?: string; counts?: Record<string, number> | null; changes?: Change[] | null; cut?: number; tests?: Test[] | null
  drift: number; error?: string; notes?: string[] | null; cut_off?: string; attempts?: number; created: string; started?: string; finished?: string
}

export interface Drift {
  id: number; host: string; ref: string; role?: string; place?: string; action?: string; fields?: Field[] | null
  state: string; since: string; ended?: string; by?: string; visit?: number; heals?: number; live?: boolean; hints?: string[] | null
}

export interface Unmanaged { address: string; name?: string; found: string; what?: string; seen: string }
export interface Habits {
  visits: number; unattended: number; narrow: number; around: number; late: number; paused_for: string; oldest_plan: string
}
export interface Overview {
  hosts: Host[] | null; groups: Group[] | null; pauses: Pause[] | null; unmanaged: Unmanaged[] | null; habits: Habits
}
export interface Sibling { host: string; equal: boolean; differ?: string[] | null }
export interface Detail {
  host: Host; drifts: Drift[] | null; visits: Visit[] | null; tests: Test[] | null; siblings: Sibling[] | null
}
export interface Tonight {
  from: string; until: string; visits: number; quiet: number
  failed: Visit[] | null; changed: Visit[] | null; drifted: Visit[] | null; rebuilt: Visit[] | null
  rollouts: Group[] | null; drifts: Drift[] | null; late: Host[] | null; pauses: Pause[] | null
}
export interface Proposal { drift: Drift; file: string; diff: string; commit?: string; affects?: string[] | null }
// What people decide about hosts by themselves, whether or not they are operators.
export interface Loan { name: string; entry: string; hosts: string[] | null; until: string; requested_by?: string; why?: string }
export interface Offer {
  entry: string; group: string; environment?: string; number: number; least: number; most: number; removed: 'keep' | 'destroy'
  teams: string[] | null; hosts: string[] | null; loans: Loan[] | null; may: boolean; why?: string
}
export interface Role { name: string; description: string; document: string; hosts: string[] | null; groups: string[] | null }

export const hostPage = (name: string) => `/hosts/${encodeURIComponent(name)}`
export const groupPage = (name: string) => `/hosts/groups/${encodeURIComponent(name)}`
export const visitPage = (id: number) => `/hosts/visits/${id}`
export const rolePage = (name: string) => `/roles/${encodeURIComponent(name)}`

// ofFleet tells whether an event is about hosts.
export const ofFleet = (e: { subject: string }) => /^(hosts$|(host|group|definitions)\/)/.test(e.subject)
