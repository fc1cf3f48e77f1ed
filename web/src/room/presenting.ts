// Showing one's images to the others and following theirs: places in images, ten a second at most, the last one wins.
// The server passes them on and keeps nothing; what was shown is on record by steps of its own (presence.ts).
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react';
import type { Consult } from '../consult/data';
import { hear } from '../events';
import { sendJson, takeQuietly } from '../fhir';
import type { Parameter } from '../fhir-types';
import { idOf } from '../names';
import { useSession } from '../session';
import type { ViewPlace } from '../viewer/lead';

export interface Word extends ViewPlace { from: string; speaker: string; encounter: string; study: string; ends?: boolean }

const SEND_MS = 100;
const AGAIN_MS = 4_000; // who comes later sees where it stands
const GONE_MS = 15_000;
const TAKE_OVER_MS = 3_000; // words of the one before may still be on their way
const SETTLE_MS = 1_500; // passed over quickly is not shown
const tab = Math.random().toString(36).slice(2); // of this page, until it is loaded again

export interface Presenting {
  /** Whoever shows, when it is somebody else. */
  other: Word | undefined;
  showing: boolean;
  following: boolean;
  show: (on: boolean) => void;
  follow: (on: boolean) => void;
  /** The own viewer has moved. */
  moved: (place: ViewPlace) => void;
}

export function usePresenting(consult: Consult, studyId: string | undefined, may: boolean, onTaken: (by: string) => void): Presenting {
  const { post } = useSession();
  const encounter = idOf(consult.task.encounter?.reference);
  const [other, setOther] = useState<Word>();
  const [showing, setShowing] = useState(false);
  const [following, setFollowing] = useState(true);
  const since = useRef(0);
  const here = useRef<ViewPlace>(undefined);
  const line = useLine(encounter, studyId);

  const show = useCallback((on: boolean) => {
    since.current = Date.now();
    setShowing(on);
    if (on) setOther(undefined);
    if (on && here.current) line.say(here.current);
    if (!on) line.end();
  }, [line]);
  const taken = useRef(onTaken);
  useEffect(() => {
    taken.current = onTaken;
  }, [onTaken]);

  useEffect(() => hear((data) => {
    const word = JSON.parse(data) as Word;
    if (word.encounter !== encounter || word.from === tab) return;
    if (word.ends) return setOther((before) => (before?.from === word.from ? undefined : before));
    if (showing && Date.now() - since.current < TAKE_OVER_MS) return;
    if (showing) {
      setShowing(false);
      taken.current(word.speaker);
    }
    setOther((before) => {
      if (before?.from !== word.from) setFollowing(true);
      return word;
    });
  }), [encounter, showing]);

  // Who says nothing any more shows nothing any more.
  useEffect(() => {
    if (!other) return;
    const timer = window.setTimeout(() => setOther(undefined), GONE_MS);
    return () => window.clearTimeout(timer);
  }, [other]);

  const active = showing && may;
  useEffect(() => {
    if (!active) return;
    const timer = window.setInterval(() => here.current && line.say(here.current), AGAIN_MS);
    return () => window.clearInterval(timer);
  }, [active, line]);
  const record = useRecord(consult.task.id, studyId, active);

  const moved = useCallback((place: ViewPlace) => {
    here.current = place;
    if (!active) return;
    line.say(place);
    record(place);
  }, [active, line, record]);
  useEffect(() => {
    if (active && here.current) record(here.current);
  }, [active, record]);
  useLayoutEffect(() => () => {
    here.current = undefined; // another study, another place
  }, [studyId]);
  useEffect(() => () => line.end(), [line]);
  return { other: other && other.speaker !== `PractitionerRole/${post.id}` ? other : undefined, showing: active, following, show, follow: setFollowing, moved };
}

/** One word is on its way at a time; while it is, only the last of those that came is kept. */
function useLine(encounter: string | undefined, study: string | undefined): { say: (place: ViewPlace) => void; end: () => void } {
  const state = useRef({ busy: false, said: false, next: undefined as object | undefined });
  const [line] = useState(() => {
    const target = { encounter, study };
    const go = async () => {
      const { current } = state;
      if (current.busy || !current.next || !target.encounter) return;
      const word = current.next;
      current.next = undefined;
      current.busy = true;
      await sendJson(`/live/Encounter/${target.encounter}`, 'POST', word).catch(() => undefined); // the next one says it again
      await new Promise((done) => window.setTimeout(done, SEND_MS));
      current.busy = false;
      void go();
    };
    return {
      target,
      say: (place: ViewPlace) => {
        state.current.next = { from: tab, study: target.study, ...place };
        state.current.said = true;
        void go();
      },
      end: () => {
        if (!state.current.said) return;
        state.current.said = false;
        state.current.next = { from: tab, ends: true };
        void go();
      },
    };
  });
  useLayoutEffect(() => {
    line.target.encounter = encounter;
    line.target.study = study;
  }, [line, encounter, study]);
  return line;
}

/** Writes down what is shown: each study and series on which the presenter stays a moment, with the slice it began at. */
function useRecord(taskId: string | undefined, studyId: string | undefined, active: boolean): (place: ViewPlace) => void {
  const shown = useRef('');
  const timer = useRef<number>(undefined);
  useEffect(() => {
    if (!active || !taskId) return;
    return () => {
      window.clearTimeout(timer.current);
      if (shown.current) takeQuietly(taskId, 'stop-showing').catch(() => undefined);
      shown.current = '';
    };
  }, [active, taskId]);
  return useCallback((place: ViewPlace) => {
    const key = `${studyId ?? ''} ${place.series}`;
    window.clearTimeout(timer.current);
    if (!taskId || !studyId || shown.current === key) return;
    timer.current = window.setTimeout(() => {
      shown.current = key;
      const parameters: Parameter[] = [{ name: 'study', valueReference: { reference: `ImagingStudy/${studyId}` } }, { name: 'slice', valueString: `${place.series}/${place.slice}` }];
      takeQuietly(taskId, 'show-images', parameters).catch(() => (shown.current = ''));
    }, SETTLE_MS);
  }, [taskId, studyId]);
}
