// 会诊室: whose record, where it stands, and three parts: what is known, the images, what is said and signed.
import { ArrowLeftOutlined, PrinterOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useCallback, useEffect, useState } from 'react';
import { useNavigate, useParams, useSearchParams } from 'react-router';
import { OpenApp } from '../allow/open-app';
import { useConsult, type Consult } from '../consult/data';
import { StatusLine } from '../consult/status-line';
import { patientName } from '../consult/texts';
import { TransitionButtons } from '../consult/transition-buttons';
import { RoomCritical } from '../critical/room-critical';
import { useDirectory } from '../directory';
import { isPassing } from '../fhir';
import { useTranslation } from '../i18n';
import { Empty } from '../parts/empty';
import { hasUnsaved, LeaveGuard } from '../parts/leave-guard';
import { Loading } from '../parts/loading';
import { Page, usePageTitle } from '../parts/page';
import { Problem } from '../parts/problem';
import { toast } from '../parts/toast';
import { Tabs } from '../parts/tabs';
import type { Role } from '../session';
import { useSession } from '../session';
import { aimOf, type SlicePlace } from '../viewer/viewer';
import { ViewerPair } from '../viewer/viewer-pair';
import { Banner } from './banner';
import { DecisionTab } from './decision-tab';
import { DiscussionTab, isDiscussion } from './discussion-tab';
import { FeedbackTab } from './feedback-tab';
import { History } from './history';
import { JointTab } from './joint-tab';
import { MeasurementTab } from './measurement-tab';
import { OpinionTab } from './opinion-tab';
import { useOpenedImages } from './opened-images';
import { Recording } from './recording';
import { isLive, usePresence } from './presence';
import { usePresenting } from './presenting';
import { ReportTab } from './report-tab';
import type { SlicePointer } from './session-history';
import { SessionStrip } from './session-strip';

/** Where the person of this role most likely wants to look first. */
function firstTab(role: Role, consult: Consult): string {
  const { state } = consult;
  if (consult.machine === 'remote-diagnosis') return 'report';
  if (role === 'expert' && (state === 'answering' || state === 'in-session')) return 'opinion';
  if (state === 'drafted' || state === 'signed') return 'joint';
  if (state === 'delivered') return role === 'county-doctor' ? 'decision' : 'joint';
  if (state === 'decided' || state === 'feedback-due') return role === 'county-doctor' ? 'feedback' : 'decision';
  if (state === 'day-30-due') return 'feedback';
  if (state === 'closed') return 'joint';
  return consult.studies.length > 0 ? 'measurement' : 'discussion';
}

export default function RoomPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { taskId } = useParams();
  const { data: consult, error, refetch } = useConsult(taskId);
  usePageTitle(t('room.title'));
  // A line that breaks takes nobody out of the room: what is there stays, the head says that the line is down.
  if (error && !(consult && isPassing(error))) {
    return (
      <Page title={t('room.title')} actions={<Button icon={<ArrowLeftOutlined />} onClick={() => void navigate('/consults')}>{t('room.back')}</Button>}>
        <Problem error={error} retry={() => void refetch()} />
      </Page>
    );
  }
  if (!consult) return <Loading what={t('room.loading')} />;
  return <Room key={taskId} consult={consult} />;
}

/** None were shared; or they were, and the end of the consult has closed the record again. */
function NoImages({ consult }: { consult: Consult }) {
  const { t } = useTranslation();
  const shared = (consult.request?.supportingInfo ?? []).some((one) => one.reference?.includes('ImagingStudy/'));
  if (shared) return <Empty title={t('room.imagesClosed')} help={t('room.imagesClosedHelp')} />;
  return <Empty title={t('room.noImages')} help={t('room.noImagesHelp')} />;
}

function Room({ consult }: { consult: Consult }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { post } = useSession();
  const [query, setQuery] = useSearchParams();
  const [studyId, setStudyId] = useState(query.get('study') ?? consult.studies[0]?.id);
  const [overlay, setOverlay] = useState(false);
  const [target, setTarget] = useState(() => aimOf(query));
  const [place, setPlace] = useState<SlicePlace>();
  const study = consult.studies.find((one) => one.id === studyId) ?? consult.studies[0];
  const linkOf = (at: SlicePlace) => `${location.origin}/consults/${consult.task.id ?? ''}?${new URLSearchParams({ study: study?.id ?? '', series: at.seriesUid, slice: at.sliceUid }).toString()}`;
  const tab = query.get('tab') ?? firstTab(post.role, consult);
  const openTab = (key: string) => setQuery((before) => {
    before.set('tab', key);
    return before;
  }, { replace: true });
  useOpenedImages(consult, place !== undefined);
  const inside = usePresence(consult);
  const directory = useDirectory();
  const presenting = usePresenting(consult, study?.id, inside, (by) => toast.success(t('session.taken', { who: directory.postName({ reference: by }) })));
  const led = presenting.following ? presenting.other : undefined;
  const lead = led && led.study === study?.id ? led : undefined;
  useEffect(() => {
    if (led) setStudyId(led.study);
  }, [led]);
  const goTo = (to: SlicePointer) => {
    presenting.follow(false);
    setStudyId(to.studyId);
    setTarget({ seriesUid: to.seriesUid, sliceUid: to.sliceUid });
  };
  const onPlace = useCallback((next: SlicePlace) => setPlace(next), []);
  const hasOverlay = consult.reports.some((report) => report.imagingStudy?.some((one) => one.reference?.endsWith(`/${study?.id ?? ''}`)) && report.status !== 'cancelled');
  const unread = consult.communications.filter(isDiscussion).length;

  const measurement = { key: 'measurement', label: t('room.tabs.measurement'), children: <MeasurementTab study={study} reports={consult.reports} overlay={overlay} onOverlay={setOverlay} hasOverlay={hasOverlay} onSlice={(sliceUid) => setTarget({ sliceUid })} /> };
  const tabs = consult.machine === 'remote-diagnosis' ? [
    { key: 'report', label: t('room.tabs.report'), children: <ReportTab consult={consult} /> },
    measurement,
  ] : [
    measurement,
    { key: 'discussion', label: unread > 0 ? t('room.tabs.discussionN', { n: unread }) : t('room.tabs.discussion'),
      children: <DiscussionTab consult={consult} study={study} place={place} onGo={goTo} /> },
    { key: 'opinion', label: t('room.tabs.opinion'), children: <OpinionTab consult={consult} /> },
    { key: 'joint', label: t('room.tabs.joint'), children: <JointTab consult={consult} /> },
    { key: 'decision', label: t('room.tabs.decision'), children: <DecisionTab consult={consult} /> },
    { key: 'feedback', label: t('room.tabs.feedback'), children: <FeedbackTab consult={consult} /> },
  ];

  return (
    <div className="room">
      <LeaveGuard isDirty={hasUnsaved} title={t('room.leaveTitle')} />
      <Banner consult={consult} />
      <RoomCritical consult={consult} />
      <div className="room-head">
        <Button type="text" size="small" icon={<ArrowLeftOutlined />} onClick={() => void navigate('/consults')}>{t('room.back')}</Button>
        <StatusLine consult={consult} full />
        <div className="room-steps">
          <TransitionButtons consult={consult} onTab={openTab} size="small" />
          <OpenApp patient={consult.patient?.id} />
          <Button size="small" icon={<PrinterOutlined />} onClick={() => void navigate(`/consults/${consult.task.id ?? ''}/print`)}>{t('room.print')}</Button>
        </div>
      </div>
      <Recording consult={consult} />
      <div className="room-parts">
        <aside className="room-left panel" aria-label={t('room.history')}>
          <History consult={consult} studyId={study?.id} onStudy={(id) => { presenting.follow(false); setStudyId(id); }} onGo={goTo} />
        </aside>
        <div className="room-centre">
          {isLive(consult) && study ? <SessionStrip consult={consult} inside={inside} presenting={presenting} /> : null}
          {study ? (
            <ViewerPair key={study.id} studies={consult.studies} linkOf={linkOf} study={study} patient={consult.patient} hasOverlay={hasOverlay} overlay={overlay} onOverlay={setOverlay} target={target} onPlace={onPlace}
              lead={lead} onView={presenting.moved} onOwn={lead ? () => presenting.follow(false) : undefined} />
          ) : (
            <div className="panel"><NoImages consult={consult} /></div>
          )}
        </div>
        <aside className="room-right panel" aria-label={t('room.work', { name: patientName(consult.patient) })}>
          <Tabs activeKey={tab} onChange={openTab} items={tabs} label={t('room.tabsLabel')} />
        </aside>
      </div>
    </div>
  );
}
