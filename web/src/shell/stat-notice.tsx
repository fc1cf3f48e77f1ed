// 特急 must not wait for somebody to look: a sound, a desktop notice where the person has said yes, and a line on the page.
// What is told outside the page holds no patient.
import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { useLocation, useNavigate } from 'react-router';
import { stateOf } from '../consult/data';
import { useDirectory } from '../directory';
import { resourcesOf, search } from '../fhir';
import type { Task } from '../fhir-types';
import { useTranslation } from '../i18n';
import { AlertFilled } from '../parts/icons';
import { LightButton } from '../parts/light';
import { announce, toast, withdraw } from '../parts/toast';
import { useSession } from '../session';
import { awaitedStates } from '../states';
import { statesParameter, WORKFLOW } from '../worklist/list';

const CHOICE_KEY = 'shanhai.stat-notice';
type Choice = 'on' | 'off' | undefined;

/** Two short tones, made here: no file to load on a weak line. A browser that wants a click first stays silent. */
function ring(): void {
  try {
    const audio = new AudioContext();
    [880, 660].forEach((pitch, index) => {
      const tone = audio.createOscillator();
      const loud = audio.createGain();
      tone.frequency.value = pitch;
      loud.gain.value = 0.15;
      tone.connect(loud).connect(audio.destination);
      tone.start(audio.currentTime + index * 0.25);
      tone.stop(audio.currentTime + index * 0.25 + 0.2);
    });
    window.setTimeout(() => void audio.close(), 1000);
  } catch {
    // No sound here; the notice on the page stays.
  }
}

/** The 特急 consults in which this post is waited for. */
function useStatTasks(): Task[] | undefined {
  const { post } = useSession();
  const states = awaitedStates(post.role);
  return useQuery({
    queryKey: ['list', 'Task', 'stat-notice', post.id],
    queryFn: async ({ signal }) =>
      resourcesOf<Task>(await search('Task', {
        code: WORKFLOW, priority: 'stat', _count: 20, _sort: '-authored-on',
        'business-status': statesParameter(states),
      }, signal), 'Task'),
    enabled: states.length > 0,
    refetchInterval: 60_000,
  }).data;
}

export function StatNotice() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { pathname, search: query } = useLocation();
  const address = pathname + query;
  const directory = useDirectory();
  const tasks = useStatTasks();
  const known = useRef<Set<string>>(undefined);
  const [choice, setChoice] = useState<Choice>(() => (localStorage.getItem(CHOICE_KEY) as Choice) ?? undefined);

  useEffect(() => {
    if (!tasks) return;
    // A consult that comes back in another state waits anew.
    const keys = tasks.map((task) => `${task.id ?? ''}/${stateOf(task)}`);
    const fresh = tasks.filter((task, index) => known.current && !known.current.has(keys[index] ?? '') && !address.includes(task.id ?? ''));
    // What no longer waits, or has gone on, is told no longer.
    for (const gone of known.current ?? []) {
      if (!keys.includes(gone)) withdraw(`stat-${gone.split('/')[0] ?? ''}`);
    }
    known.current = new Set(keys);
    for (const task of fresh) {
      const body = t('notice.body', { from: directory.post(task.requester)?.organizationName ?? '', state: t(`state.${stateOf(task)}`) });
      const open = () => void navigate(`/consults?open=${task.id ?? ''}`);
      const key = `stat-${task.id ?? ''}`;
      announce({ key, title: t('notice.title'), text: body, action: { label: t('notice.open'), onClick: () => { withdraw(key); open(); } } });
      if (choice === 'on') {
        ring();
        if ('Notification' in window && Notification.permission === 'granted') {
          const notice = new Notification(t('notice.title'), { body, tag: task.id, requireInteraction: true });
          notice.onclick = () => {
            window.focus();
            open();
            notice.close();
          };
        }
      }
    }
  }, [tasks, choice, directory, navigate, address, t]);
  const here = tasks?.find((task) => address.includes(task.id ?? ''))?.id;
  useEffect(() => {
    if (here) withdraw(`stat-${here}`);
  }, [here]);

  const decide = async (next: 'on' | 'off') => {
    localStorage.setItem(CHOICE_KEY, next);
    setChoice(next);
    if (next === 'off') return;
    ring();
    const allowed = 'Notification' in window ? await Notification.requestPermission() : 'denied';
    if (allowed === 'granted') toast.success(t('notice.on'));
    else toast.warning(t('notice.denied'));
  };
  // Asked once, at the list, and only when there is something that it would have told.
  if (choice !== undefined || pathname !== '/consults' || !tasks || tasks.length === 0) return null;
  return (
    <div className="stat-ask" role="region" aria-label={t('notice.title')}>
      <AlertFilled aria-hidden /> <span>{t('notice.ask')}</span>
      <LightButton size="small" kind="primary" onClick={() => void decide('on')}>{t('notice.yes')}</LightButton>
      <LightButton size="small" onClick={() => void decide('off')}>{t('notice.no')}</LightButton>
    </div>
  );
}
