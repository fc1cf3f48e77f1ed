// The left side: the invitation, the shared record and the studies to choose from.
import { FileTextOutlined } from '@ant-design/icons';
import { Collapse } from 'antd';
import type { Consult } from '../consult/data';
import { Invitation } from '../consult/invitation';
import { studyTitle } from '../consult/texts';
import { useDirectory } from '../directory';
import type { DocumentReference } from '../fhir-types';
import { formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { FilmPhotos } from '../images/film-photos';
import { codeOf, textOf } from '../names';
import { largestOf, Thumbnail } from '../viewer/thumbnail';
import { hasSession, SessionHistory, type SlicePointer } from './session-history';

interface HistoryProps { consult: Consult; studyId: string | undefined; onStudy: (id: string) => void; onGo: (to: SlicePointer) => void }

export function History({ consult, studyId, onStudy, onGo }: HistoryProps) {
  const { t } = useTranslation();
  const language = useLanguage();
  const request = consult.request;
  const items = [
    { key: 'ask', label: t('history.ask'), children: (
      <div className="ask">
        <p className="ask-purpose">{request?.orderDetail?.[0]?.text}</p>
        {request?.reasonCode?.[0]?.text ? <p>{request.reasonCode[0].text}</p> : null}
      </div>
    ) },
    { key: 'summary', label: t('consult.summary'), children: <p className="pre">{request?.note?.[0]?.text ?? '—'}</p> },
    ...(consult.conditions.length > 0
      ? [{ key: 'conditions', label: t('patient.diagnosis'), children: (
          <ul className="plain-list">{consult.conditions.map((condition) => <li key={condition.id}>{textOf(condition.code)}</li>)}</ul>
        ) }]
      : []),
    ...consult.documents.map((document) => ({
      key: `document-${document.id ?? ''}`,
      label: <><FileTextOutlined aria-hidden /> {textOf(document.type) || document.description || t('history.document')}</>,
      children: <DocumentText document={document} />,
    })),
    ...(hasSession(consult) ? [{ key: 'session', label: t('session.title'), children: <SessionHistory consult={consult} onGo={onGo} /> }] : []),
    { key: 'more', label: t('history.invitation'), children: <><Invitation consult={consult} /><Identity consult={consult} /></> },
  ];
  return (
    <>
      {consult.studies.length > 0 ? (
        <div className="study-list" role="radiogroup" aria-label={t('history.studies')}>
          {consult.studies.map((study) => (
            <button key={study.id} type="button" role="radio" aria-checked={study.id === studyId} className={study.id === studyId ? 'study study-on' : 'study'} onClick={() => onStudy(study.id ?? '')}>
              <Thumbnail study={study} series={largestOf(study)} /> <span>{studyTitle(study, language)}</span>
            </button>
          ))}
        </div>
      ) : null}
      <FilmPhotos photos={consult.photos} />
      <Collapse ghost size="small" defaultActiveKey={['ask', 'summary']} items={items} />
    </>
  );
}

export function attachmentText(document: DocumentReference): string | undefined {
  const attachment = document.content[0]?.attachment;
  if (!attachment?.data || !attachment.contentType?.startsWith('text/plain')) return undefined;
  const bytes = Uint8Array.from(atob(attachment.data), (character) => character.charCodeAt(0));
  return new TextDecoder().decode(bytes);
}

function DocumentText({ document }: { document: DocumentReference }) {
  const { t } = useTranslation();
  const text = attachmentText(document);
  const attachment = document.content[0]?.attachment;
  if (text !== undefined) return <p className="pre">{text}</p>;
  if (attachment?.data) {
    return <a download={attachment.title ?? 'document'} href={`data:${attachment.contentType ?? 'application/octet-stream'};base64,${attachment.data}`}>{attachment.title ?? t('history.download')}</a>;
  }
  return <p className="hint">{t('history.notReadable')}</p>;
}

/** Who read the identity back, and when. */
function Identity({ consult }: { consult: Consult }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const checks = consult.observations.filter((observation) => codeOf(observation.code, 'consult-observation') === 'identity-check');
  return (
    <>
      {checks.map((check) => (
        <p className="hint" key={check.id}>
          {t('identity.done', {
            who: directory.postName(check.performer?.[0]),
            time: formatTime(check.effectiveDateTime, language),
            what: (check.component ?? []).map((part) => t(`identity.${codeOf(part.code, 'identity-kind') ?? ''}`)).join(t('common.listMark')),
          })}
        </p>
      ))}
    </>
  );
}
