// The states of a consult as the screens sort and colour them. The states themselves live in the workflow; here stands
// only which tab shows which, what a row's one button is called, and how long is too long.
import type { Priority } from './fhir-types';
import type { Role } from './session';

export const CONSULT_STATES = [
  'draft', 'submitted', 'returned', 'allocated', 'offered', 'unanswered', 'accepted', 'scheduled', 'answering', 'in-session', 'drafted',
  'signed', 'delivered', 'decided', 'feedback-due', 'closed', 'day-30-due', 'declined', 'cancelled',
  // remote diagnosis only
  'assigned', 'written', 'reported',
] as const;
export type ConsultState = (typeof CONSULT_STATES)[number];

const ENDED: ConsultState[] = ['closed', 'day-30-due', 'declined', 'cancelled'];
export const UNANSWERED: ConsultState[] = [
  'submitted', 'allocated', 'offered', 'unanswered', 'accepted', 'scheduled', 'answering', 'in-session', 'drafted',
  'assigned', 'written',
];
export const RUNNING: ConsultState[] = ['offered', 'accepted', 'scheduled', 'answering', 'in-session', 'drafted', 'signed', 'assigned', 'written', 'reported'];
const LIVE = CONSULT_STATES.filter((state) => !ENDED.includes(state) && state !== 'draft');

export interface Tab {
  key: string;
  states: readonly ConsultState[];
  /** Narrower than its states: only what has waited too long; what runs or came in today; what is 特急. */
  only?: 'overdue' | 'today' | 'stat';
  /** Its turn when a person comes in and has chosen none. */
  first?: number;
}

const archived: Tab = { key: 'archived', states: ENDED };

/** In the order in which a case moves; `first` is where a person looks when he comes in, as long as something is there. */
const TABS: Record<Role, Tab[]> = {
  'county-doctor': [
    { key: 'drafts', states: ['draft'] },
    { key: 'returned', states: ['returned'], first: 2 },
    { key: 'waiting', states: [...UNANSWERED, 'signed'], first: 3 },
    { key: 'to-decide', states: ['delivered', 'reported'], first: 1 },
    { key: 'to-feed-back', states: ['decided', 'feedback-due', 'day-30-due'], first: 4 },
    archived,
  ],
  expert: [
    { key: 'to-accept', states: ['offered'], first: 1 },
    { key: 'to-read', states: ['accepted', 'scheduled'], first: 3 },
    { key: 'to-sign', states: ['answering', 'in-session', 'drafted', 'assigned', 'written'], first: 2 },
    { key: 'answered', states: ['signed', 'delivered', 'decided', 'feedback-due', 'day-30-due', 'reported', 'closed'] },
  ],
  'consult-coordinator': [
    { key: 'to-review', states: ['submitted'], first: 1 },
    { key: 'to-allocate', states: ['allocated', 'unanswered'], first: 2 },
    { key: 'overdue', states: UNANSWERED, only: 'overdue', first: 3 },
    { key: 'today', states: LIVE, only: 'today', first: 4 },
    archived,
  ],
  radiologist: [
    { key: 'to-review', states: ['submitted'], first: 3 },
    { key: 'to-report', states: ['assigned'], first: 1 },
    { key: 'to-check', states: ['written'], first: 2 },
    { key: 'running', states: LIVE, first: 4 },
    archived,
  ],
  'duty-head': [{ key: 'to-approve', states: ['draft', 'returned'], only: 'stat', first: 1 }, { key: 'running', states: LIVE, first: 2 }, archived],
  commander: [
    { key: 'running', states: LIVE },
    { key: 'overdue', states: UNANSWERED, only: 'overdue' },
    { key: 'today', states: LIVE, only: 'today' },
    archived,
  ],
  'medical-affairs': [archived],
  administrator: [{ key: 'running', states: LIVE }, archived],
};

export const tabsOf = (role: Role): Tab[] => TABS[role];

/** Where a person begins: the first in turn that holds something, else the first in turn. */
export function firstTabOf(tabs: Tab[], counts: Record<string, number> | undefined): Tab | undefined {
  const inTurn = tabs.filter((tab) => tab.first !== undefined).sort((a, b) => (a.first ?? 0) - (b.first ?? 0));
  return inTurn.find((tab) => (counts?.[tab.key] ?? 0) > 0) ?? inTurn[0] ?? tabs[0];
}

/** The states in which this role is the one that is waited for. */
export function awaitedStates(role: Role): ConsultState[] {
  return CONSULT_STATES.filter((state) => primaryActionOf(role, state) !== undefined && state !== 'draft');
}

type Tone = 'wait' | 'run' | 'act' | 'done' | 'off';
const TONES: Record<ConsultState, Tone> = {
  draft: 'off', submitted: 'wait', returned: 'act', allocated: 'wait', offered: 'wait', unanswered: 'act', accepted: 'run', scheduled: 'run',
  answering: 'run', 'in-session': 'run', drafted: 'act', signed: 'done', delivered: 'done', decided: 'done',
  'feedback-due': 'act', 'day-30-due': 'act', closed: 'off', declined: 'off', cancelled: 'off',
  assigned: 'run', written: 'act', reported: 'done',
};
export const toneOf = (state: string): Tone => TONES[state as ConsultState] ?? 'off';

/** The one thing that this role is waited for in this state; undefined when the row is only looked at. */
export function primaryActionOf(role: Role, state: string, priority?: Priority): string | undefined {
  // Only 特急 may go without a consent, and that is what the duty head approves.
  if (role === 'duty-head' && priority !== undefined && priority !== 'stat') return undefined;
  const actions: Partial<Record<Role, Partial<Record<ConsultState, string>>>> = {
    'county-doctor': { draft: 'fill', returned: 'fill', scheduled: 'enter', 'in-session': 'enter', delivered: 'decide', reported: 'read',
      decided: 'feed-back', 'feedback-due': 'feed-back',
      'day-30-due': 'feed-back' },
    expert: { offered: 'answer-offer', accepted: 'read', scheduled: 'enter', answering: 'write', 'in-session': 'write', drafted: 'sign',
      assigned: 'report', written: 'check' },
    'consult-coordinator': { submitted: 'review', allocated: 'offer', unanswered: 'offer', accepted: 'schedule', signed: 'deliver' },
    radiologist: { submitted: 'judge', assigned: 'report', written: 'check' },
    'duty-head': { draft: 'approve', returned: 'approve' },
  };
  return actions[role]?.[state as ConsultState];
}

const MINUTE = 60_000;
/** How long a request may stay unanswered before its waiting time turns red. */
export const WAIT_LIMIT_MS: Record<string, number> = { stat: 10 * MINUTE, urgent: 30 * MINUTE, routine: 5 * 60 * MINUTE };

export function isWaiting(state: string): boolean {
  return UNANSWERED.includes(state as ConsultState);
}

export function isOverdue(state: string, priority: Priority | undefined, since: string | undefined, now: number): boolean {
  if (state === 'unanswered') return true;
  if (!isWaiting(state) || !since) return false;
  return now - Date.parse(since) > (WAIT_LIMIT_MS[priority ?? 'routine'] ?? WAIT_LIMIT_MS['routine'] ?? 0);
}

export type Machine = 'consult' | 'remote-diagnosis';

/** The stations of the line that a reader follows like a parcel; a state stands at one of them. */
export const STATIONS = ['submitted', 'allocated', 'accepted', 'in-session', 'signed', 'delivered', 'decided', 'closed'] as const;
export const DIAGNOSIS_STATIONS = ['submitted', 'assigned', 'written', 'reported', 'closed'] as const;

export function stationIndex(state: string, machine: Machine = 'consult'): number {
  if (machine === 'remote-diagnosis') return (DIAGNOSIS_STATIONS as readonly string[]).indexOf(state);
  const at: Record<string, number> = {
    draft: -1, returned: -1, submitted: 0, allocated: 1, offered: 1, unanswered: 1, accepted: 2, scheduled: 2, answering: 3, 'in-session': 3,
    drafted: 3, signed: 4, delivered: 5, decided: 6, 'feedback-due': 6, closed: 7, 'day-30-due': 7, declined: -1, cancelled: -1,
  };
  return at[state] ?? -1;
}
