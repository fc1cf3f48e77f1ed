// A row opened: enough to decide the next step without leaving the list.
import { ArrowRightOutlined } from '@ant-design/icons';
import { Button, Drawer } from 'antd';
import { useNavigate } from 'react-router';
import { useConsult } from '../consult/data';
import { Invitation } from '../consult/invitation';
import { PatientLine } from '../consult/patient-line';
import { StatusLine } from '../consult/status-line';
import { TransitionButtons } from '../consult/transition-buttons';
import { isPassing } from '../fhir';
import { useTranslation } from '../i18n';
import { StateBadge, UrgencyBadge } from '../parts/badges';
import { Loading } from '../parts/loading';
import { Problem } from '../parts/problem';
import { roleIs, useSession } from '../session';

export function ConsultDrawer({ taskId, onClose }: { taskId: string | undefined; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Drawer open={taskId !== undefined} onClose={onClose} size="min(640px, 100vw)" title={t('worklist.drawer')} destroyOnHidden>
      {taskId ? <Opened key={taskId} taskId={taskId} /> : null}
    </Drawer>
  );
}

function Opened({ taskId }: { taskId: string }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const session = useSession();
  const { data: consult, error, refetch } = useConsult(taskId);
  if (error && !(consult && isPassing(error))) return <Problem error={error} retry={() => void refetch()} />;
  if (!consult) return <Loading />;
  const editable = roleIs(session, 'county-doctor') && (consult.state === 'draft' || consult.state === 'returned');
  const path = `/consults/${taskId}${editable ? '/edit' : ''}`;
  return (
    <div className="drawer-body">
      <div className="drawer-head">
        <PatientLine consult={consult} strong />
        <span className="drawer-badges"><UrgencyBadge priority={consult.request?.priority} /> <StateBadge state={consult.state} /></span>
      </div>
      <StatusLine consult={consult} full />
      <TransitionButtons consult={consult} />
      <Button className="drawer-enter" icon={<ArrowRightOutlined />} onClick={() => void navigate(path)}>
        {t(editable ? 'action.fill' : 'action.room')}
      </Button>
      <Invitation consult={consult} />
    </div>
  );
}
