// 应用授权: an app of another asks to act for this person, under this post. It names what is asked for, part by part, and
// goes back to the app's registered address with a yes or a no; never anywhere else.
import { CheckOutlined, SafetyCertificateOutlined } from '@ant-design/icons';
import { useMutation, useQuery } from '@tanstack/react-query';
import { Alert, Button, Checkbox, Select } from 'antd';
import { useState } from 'react';
import { useSearchParams } from 'react-router';
import { patientName } from '../consult/texts';
import { callJson, sendJson } from '../fhir';
import type { Patient } from '../fhir-types';
import { useTranslation } from '../i18n';
import { PatientPicker } from '../images/patient-picker';
import { Loading } from '../parts/loading';
import { usePageTitle } from '../parts/page';
import { Problem, problemText } from '../parts/problem';
import { useSession, useSessionActions } from '../session';
import { LanguageSwitch } from '../shell/language-switch';
import { Logo } from '../shell/logo';
import { scopeWords, type Asked } from './data';

export default function AllowPage() {
  const { t } = useTranslation();
  const [query] = useSearchParams();
  const { post } = useSession();
  usePageTitle(t('allow.title'));
  const { data, error } = useQuery({
    queryKey: ['allow', query.toString(), post.id],
    queryFn: ({ signal }) => callJson<Asked>(`/auth/consent?${query.toString()}`, { signal }),
    retry: false,
    staleTime: Infinity,
  });
  return (
    <main className="allow-page">
      <header className="brand-line"><span className="allow-brand"><span className="logo-tile"><Logo size={26} /></span>{t('app.name')}</span> <LanguageSwitch /></header>
      <h1>{t('allow.title')}</h1>
      {error ? <><Problem error={error} /><p className="page-note">{t('allow.refusedHelp')}</p></> : null}
      {!data && !error ? <Loading /> : null}
      {data ? <Question key={post.id} asked={data} query={Object.fromEntries(query)} /> : null}
    </main>
  );
}

function Question({ asked, query }: { asked: Asked; query: Record<string, string> }) {
  const { t } = useTranslation();
  const [declined, setDeclined] = useState<string[]>([]);
  const [patient, setPatient] = useState(asked.patient ?? '');
  const answer = useMutation({
    mutationFn: (allow: boolean) => sendJson<{ redirect: string }>('/auth/consent', 'POST', { query, allow, declined, patient }),
    onSuccess: ({ redirect }) => location.assign(redirect),
  });
  const possible = asked.scopes.filter((one) => one.within !== '');
  const left = possible.filter((one) => !declined.includes(one.scope));
  const missing = asked.needsPatient && !patient;
  const nothing = left.length === 0 && !asked.identity;
  const problem = answer.error ? problemText(answer.error, t) : undefined;
  const decline = (scope: string, on: boolean) => setDeclined(on ? declined.filter((one) => one !== scope) : [...declined, scope]);
  return (
    <section className="panel allow-box">
      <p className="allow-ask"><strong>{asked.app.name}</strong> {t('allow.asks')}</p>
      <p className="allow-address">{t('allow.address', { address: hostOf(asked.address) })}</p>
      <ActingAs />
      {asked.needsPatient ? <ForPatient asked={asked} onPick={setPatient} /> : null}
      <h2>{t('allow.what')}</h2>
      <ul className="plain-list allow-scopes">
        {asked.identity ? <li><CheckOutlined aria-hidden className="allow-fixed" />{t('allow.identity')}</li> : null}
        {asked.scopes.map((one) => {
          const words = scopeWords(one, t);
          const has = one.within !== '';
          return (
            <li key={one.scope} data-scope={one.scope}>
              <Checkbox checked={has && !declined.includes(one.scope)} disabled={!has} onChange={(event) => decline(one.scope, event.target.checked)}>
                <span className="allow-what">{words.what}</span> <span className="allow-doings">{words.doings}</span>
                {words.narrowed ? <span className="allow-note">{words.narrowed}</span> : null}
                {has ? null : <span className="allow-note">{t('allow.notYours')}</span>}
              </Checkbox>
            </li>
          );
        })}
      </ul>
      <p className="allow-limit"><SafetyCertificateOutlined aria-hidden /> {t(asked.offline ? 'allow.limitOffline' : 'allow.limit')}</p>
      {problem ? <Alert type="error" showIcon role="alert" title={problem.title} description={problem.lines.join(' ')} /> : null}
      <div className="allow-buttons">
        <Button size="large" onClick={() => answer.mutate(false)} disabled={answer.isPending}>{t('allow.deny')}</Button>
        <Button size="large" type="primary" onClick={() => answer.mutate(true)} loading={answer.isPending} disabled={missing || nothing}>{t('allow.allow')}</Button>
      </div>
      {missing ? <p className="allow-note" role="status">{t('allow.pickFirst')}</p> : null}
    </section>
  );
}

function hostOf(address: string): string {
  try {
    const { host, protocol } = new URL(address);
    return host || protocol;
  } catch {
    return address;
  }
}

/** Under which post: a person with several chooses; what can be allowed changes with it. */
function ActingAs() {
  const { t } = useTranslation();
  const session = useSession();
  const { switchPost } = useSessionActions();
  const nameOf = (post: typeof session.post) => `${t(`role.${post.role}`)} · ${post.organization.name}`;
  return (
    <div className="allow-row">
      <span className="allow-label" id="allow-as">{t('allow.as')}</span>
      {session.posts.length > 1 ? (
        <Select aria-labelledby="allow-as" value={session.post.id} onChange={(id: string) => void switchPost(id)} className="allow-pick"
          options={session.posts.map((post) => ({ value: post.id, label: nameOf(post) }))} />
      ) : (
        <span>{session.person.name}（{nameOf(session.post)}）</span>
      )}
    </div>
  );
}

function ForPatient({ asked, onPick }: { asked: Asked; onPick: (id: string) => void }) {
  const { t } = useTranslation();
  const { data } = useQuery({
    queryKey: ['one', 'Patient', asked.patient],
    queryFn: ({ signal }) => callJson<Patient>(`/fhir/Patient/${asked.patient ?? ''}`, { signal }),
    enabled: Boolean(asked.patient),
  });
  return (
    <div className="allow-row">
      <span className="allow-label">{t('allow.patient')}</span>
      {asked.patient ? <strong>{data ? patientName(data) : '…'}</strong> : <span className="allow-pick"><PatientPicker onPick={onPick} /></span>}
    </div>
  );
}
