// The critical values of one consult's patient, above everything else in the room.
import type { Consult } from '../consult/data';
import { CriticalCard } from './critical-card';
import { useCriticalValues } from './data';

export function RoomCritical({ consult }: { consult: Consult }) {
  const { data = [] } = useCriticalValues({ patient: consult.task.for?.reference }, consult.task.for?.reference !== undefined);
  const shown = data.filter((one) => one.state !== 'withdrawn');
  if (shown.length === 0) return null;
  return <div className="critical-list room-critical">{shown.map((one) => <CriticalCard key={one.task.id} critical={one} withPatient={false} />)}</div>;
}
