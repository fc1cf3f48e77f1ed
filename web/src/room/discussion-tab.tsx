// The discussion: text that stays even when nothing else works, with links to the slice that is spoken of.
import { AimOutlined, SendOutlined } from '@ant-design/icons';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Button, Checkbox, Input } from 'antd';
import { useEffect, useRef, useState } from 'react';
import type { Consult } from '../consult/data';
import { useDirectory } from '../directory';
import { create } from '../fhir';
import type { Communication, ImagingStudy } from '../fhir-types';
import { formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { codeOf, extensionOf, extensionUrl, idOf } from '../names';
import { Empty } from '../parts/empty';
import { Problem } from '../parts/problem';
import { useSession } from '../session';
import type { SlicePlace } from '../viewer/viewer';

export interface SliceTarget { studyId: string; seriesUid: string; sliceUid: string }

interface DiscussionProps {
  consult: Consult;
  study: ImagingStudy | undefined;
  place: SlicePlace | undefined;
  onGo: (target: SliceTarget) => void;
}

function targetOf(communication: Communication): (SliceTarget & { number: string }) | undefined {
  const about = communication.about?.[0];
  const [seriesUid, sliceUid, number] = (extensionOf(about, 'slice')?.valueString ?? '').split('/');
  const studyId = idOf(about?.reference);
  return studyId && seriesUid && sliceUid ? { studyId, seriesUid, sliceUid, number: number ?? '' } : undefined;
}

/** What people wrote to each other; notices and records that the workflow makes are shown where they belong. */
export const isDiscussion = (communication: Communication) => codeOf(communication.category, 'communication') === undefined;

export function DiscussionTab({ consult, study, place, onGo }: DiscussionProps) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const { post } = useSession();
  const client = useQueryClient();
  const [text, setText] = useState('');
  const [withSlice, setWithSlice] = useState(false);
  const end = useRef<HTMLDivElement>(null);
  const count = consult.communications.filter(isDiscussion).length;
  const sentCount = useRef(count);
  useEffect(() => {
    if (count > sentCount.current) end.current?.scrollIntoView({ block: 'nearest' });
    sentCount.current = count;
  }, [count]);

  const send = useMutation({
    mutationFn: () =>
      create<Communication>({
        resourceType: 'Communication',
        status: 'completed',
        encounter: consult.task.encounter,
        subject: consult.task.for,
        sender: { reference: `PractitionerRole/${post.id}` },
        sent: new Date().toISOString(),
        payload: [{ contentString: text.trim() }],
        ...(withSlice && place && study
          ? { about: [{
              reference: `ImagingStudy/${study.id ?? ''}`,
              extension: [{ url: extensionUrl('slice'), valueString: `${place.seriesUid}/${place.sliceUid}/${place.number}` }],
            }] }
          : {}),
      }),
    onSuccess: () => {
      setText('');
      setWithSlice(false);
      void client.invalidateQueries({ queryKey: ['consult', consult.task.id] });
    },
  });

  if (!consult.task.encounter) return <Empty title={t('discussion.notYet')} help={t('discussion.notYetHelp')} />;
  return (
    <div className="discussion">
      <div className="discussion-list" role="log" aria-label={t('room.tabs.discussion')} tabIndex={0}>
        {count === 0 ? <Empty title={t('discussion.empty')} help={t('discussion.emptyHelp')} /> : null}
        {consult.communications.filter(isDiscussion).map((communication) => {
          const own = idOf(communication.sender?.reference) === post.id;
          const target = targetOf(communication);
          return (
            <div key={communication.id} className={own ? 'said said-own' : 'said'}>
              <p className="said-who">
                {directory.postName(communication.sender)} <span>{directory.post(communication.sender)?.organizationName}</span> <time>{formatTime(communication.sent, language)}</time>
              </p>
              <p className="said-text">{communication.payload?.[0]?.contentString}</p>
              {target ? (
                <Button size="small" type="link" icon={<AimOutlined />} onClick={() => onGo(target)}>{t('discussion.goSlice', { n: target.number })}</Button>
              ) : null}
            </div>
          );
        })}
        <div ref={end} />
      </div>
      <div className="discussion-write" data-unsaved={text.trim() !== ''}>
        <Input.TextArea value={text} onChange={(event) => setText(event.target.value)} autoSize={{ minRows: 2, maxRows: 6 }} aria-label={t('discussion.write')}
          placeholder={t('discussion.placeholder')}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && text.trim()) send.mutate();
          }} />
        <div className="discussion-send">
          <Checkbox checked={withSlice} disabled={!place} onChange={(event) => setWithSlice(event.target.checked)}>
            {place ? t('discussion.withSlice', { n: place.number }) : t('discussion.noSlice')}
          </Checkbox>
          <Button type="primary" icon={<SendOutlined />} disabled={!text.trim()} loading={send.isPending} onClick={() => send.mutate()}>{t('discussion.send')}</Button>
        </div>
        {send.error ? <Problem error={send.error} retry={() => send.mutate()} /> : null}
      </div>
    </div>
  );
}
