// Who is in the session: this person from opening the room until leaving it, as the server writes it into the encounter.
import { useEffect, useLayoutEffect, useRef } from 'react';
import type { Consult } from '../consult/data';
import { sayLeave, takeQuietly } from '../fhir';
import type { Reference } from '../fhir-types';
import { codeOf } from '../names';
import { useSession, type Session } from '../session';

const LIVE = new Set(['in-session', 'drafted']);

export const isLive = (consult: Consult) => consult.machine === 'consult' && LIVE.has(consult.state);

const stayOf = (consult: Consult, post: string) =>
  (consult.encounter?.participant ?? []).some((one) => one.individual?.reference === post && one.period?.start && !one.period.end);

/** Whether the session has a place for this post (the rule file says the same; the server decides). */
function takesPart(consult: Consult, session: Session): boolean {
  const post = `PractitionerRole/${session.post.id}`;
  if (session.post.role === 'consult-coordinator') return consult.request?.performer?.some((one) => one.reference === `Organization/${session.post.organization.id}`) ?? false;
  if (consult.request?.requester?.reference === post) return session.post.role === 'county-doctor';
  return (consult.appointment?.participant ?? []).some((one) => one.actor?.reference === post && one.status === 'accepted');
}

/** Joins while the room is open, leaves when it is left; says whether one is in. */
export function usePresence(consult: Consult): boolean {
  const session = useSession();
  const taskId = consult.task.id ?? '';
  const due = isLive(consult) && takesPart(consult, session);
  const inside = due && stayOf(consult, `PractitionerRole/${session.post.id}`);
  const now = useRef({ due, joined: inside });
  useLayoutEffect(() => {
    now.current = { due, joined: now.current.joined || inside };
  }, [due, inside]);
  useEffect(() => {
    // A colleague's step may end the session in the same moment: then there is nothing to join.
    if (due && !inside) takeQuietly(taskId, 'join').then(() => (now.current.joined = true), () => undefined);
  }, [due, inside, taskId]);
  useEffect(() => {
    if (!due) return;
    const leave = () => {
      // The end of the session is the end of every stay: then nothing is left to say.
      if (now.current.due && now.current.joined) sayLeave(taskId);
      now.current.joined = false;
    };
    window.addEventListener('pagehide', leave);
    return () => {
      window.removeEventListener('pagehide', leave);
      leave();
    };
  }, [due, taskId]);
  return inside;
}

export interface Stay { who: Reference | undefined; start: string; end: string | undefined }

/** Every stay, the first first. */
export const staysOf = (consult: Consult): Stay[] =>
  (consult.encounter?.participant ?? [])
    .flatMap((one) => (one.period?.start ? [{ who: one.individual, start: one.period.start, end: one.period.end }] : []))
    .sort((a, b) => a.start.localeCompare(b.start));

export interface Shown { id: string; who: Reference | undefined; study: string; seriesUid: string; sliceUid: string; from: string; until: string | undefined }

/** What was shown, by whom, from when to when. */
export const shownIn = (consult: Consult): Shown[] =>
  consult.communications.filter((one) => codeOf(one.category, 'communication') === 'image-shown').map((one) => {
    const about = one.about?.[0];
    const [seriesUid = '', sliceUid = ''] = (about?.extension?.[0]?.valueString ?? '').split('/');
    return { id: one.id ?? '', who: one.sender, study: about?.reference ?? '', seriesUid, sliceUid, from: one.sent ?? '', until: one.received };
  });
