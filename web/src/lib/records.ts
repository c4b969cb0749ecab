// The records of /api/v1 that the pages show; see /api/v1/openapi.yaml.

export type Role = 'viewer' | 'developer' | 'operator' | 'admin'
export interface Session { name: string; role: Role; version: string; environments?: Record<string, Role> }

export interface Event {
  id: string; type: string; subject: string; time: string; summary: string; actor: string; reason?: string
  service?: string; environment?: string; version?: string; chainid?: string; cause?: string; seq: number
  source: string; data?: unknown
}

export interface Node {
  id: string; index: number; host?: string; version: string; state: string; serving: boolean; reason?: string; ports: Record<string, number>
  address: Record<string, string>; pid: number; started: string; restarts: number; last_exit?: string
}

export interface Placement {
  service: string; environment: string; version: string; previous?: string; since: string; state: string
  nodes: Node[] | null; address: Record<string, string> | null; watch?: string; warm?: string; pinned?: string[] | null; number: number
  hold?: { by: string; reason: string; since: string } | null
}

export interface Stage {
  name: string; state: string; manual: boolean; deploy?: string; deploy_id?: number; command?: string
  reason?: string; started?: string; finished?: string; exit_code?: number; approved_by?: string; approvers?: string[] | null
  tests?: { unit: string; passed: number; failed: number; skipped: number } | null
}

export interface Run {
  id: number; service: string; version: string; commit: string; branch: string; author: string; message: string
  committed: string; queued: string; started?: string; finished?: string; state: string; reason: string
  chain: string; green: boolean; stages: Stage[] | null
}

export interface Deploy {
  id: number; service: string; environment: string; version: string; previous?: string; state: string; kind: string
  step: string; reason?: string; actor: string; chain: string; created: string; started?: string; finished?: string
  failure?: { message: string; log: string[] | null; probe: string; elapsed: number | string } | null
  steps: { name: string; state: string; at: string; took: number }[] | null
}

export interface Incident {
  id: number; check: string; service: string; environment?: string; team?: string; version?: string; severity: string
  state: string; title: string; summary: string; opened: string; acknowledged?: string; resolved?: string
  acked_by?: string; ack_comment?: string; chain?: string; changes: Event[] | null; value?: number | null; bound?: number | null; query: string
  runbook?: string; resolved_by?: string; resolve_reason?: string
}

export interface FollowupStep {
  name: string; title: string; state: 'open' | 'found' | 'confirmed' | 'given' | 'waived'
  evidence?: { ref: string; text: string; at: string; version?: string }; by?: string; reason?: string; next?: string
}
export interface Followup {
  incident: number; title: string; check: string; service: string; environment: string; team: string
  state: 'following' | 'complete' | 'without' | 'waived' | 'returned'; steps: FollowupStep[]; done: number; waived: number; next?: string
  opened: string; resolved?: string; until?: string; returned_as?: number; return_of?: number
}
export interface Share { name: string; rate: number | null; complete: number; without: number; waived: number; returned: number; following: number }
export interface Shares { total: Share; services: Share[]; teams: Share[] }

export interface Check {
  name: string; service?: string; environment?: string; query: string; severity: string; runbook?: string
  above?: number; below?: number; warn_above?: number; warn_below?: number
}

export interface Status { check: Check; key: string; state: string; value: number | null; since: string; reason: string; incident?: number }

export interface ServiceNow {
  service: string; team: string; description: string; state: string; build: Run | null
  placements: Placement[]; checks: Record<string, number>
}

export interface Now { services: ServiceNow[]; incidents: Incident[]; changes: Event[]; seq: number }

export interface Pin { service: string; version: string; by: string; reason: string; since: string }

export interface Service extends ServiceNow {
  manifest: { pipeline: { stage: string; deploy?: string; manual: boolean }[] | null; checks: Check[] | null } | null
  runs: Run[]; deploys: Deploy[]; pins: Pin[]; statuses: Status[]; incidents: Incident[]; events: Event[]
  flow: Flow | null
}

export interface Times { median_seconds: number | null }

export interface Flow {
  total: {
    lead_time: Times; time_to_detect: Times; time_to_restore: Times; recovery: Times
    deployments: { count: number; per_day: number }
    change_failure: { rate: number | null; failed: number; of: number }
    good_builds: { good: number; all: number; per_day: number }
  }
}

export interface Chain { ref: string; events: Event[] | null }

export interface Series { target: string; tags?: Record<string, string>; datapoints: [number | null, number][] }

export interface Threshold { above?: number; below?: number; level: string }
export interface Panel {
  title?: string; kind: string; targets: string[]; width: number; from?: string; until?: string
  y_min?: number; y_max?: number; unit?: string; thresholds?: Threshold[] | null
}
export interface DashboardSummary { name: string; title: string; team?: string; description?: string; panels: number }
export interface Dashboard { name: string; title: string; team?: string; description?: string; from: string; until: string; panels: Panel[] | null }
